/**
 * Workers in threads of their own, over one table so small that each of them takes lines away from the others all the time: every
 * packet that leaves is one that its own connection made, whole, and the table is whole afterwards. What the steps of
 * workers-model.test.ts cannot come in between is met here by chance, the memory of a real machine included. Needs the addon.
 */
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startPipeline } from '../../control/backends/wasm/pipeline.js';
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';
import { file, testIf } from '../support/requires.js';
import { type Harness, PIPELINE } from './harness.js';
import type { ImageSpec } from './image.js';
import * as N from './node.js';
import * as S from './node6.js';
import { ACK, RST, read, SYN, TCP, UDP } from './packets.js';
import { startWorkers } from './workers.js';

const BATCHES = 8_000;
const BATCH = 16;
const FLOWS = 48;
const FIRST_PORT = 5000;

interface Task {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly framesBase: number;
  readonly seed: number;
}

interface Report {
  readonly outcomes: readonly number[];
  readonly failures: readonly string[];
}

/** What is sent, and what it may have become: any of these. */
interface Case {
  readonly port: number;
  readonly frame: Uint8Array;
  readonly allowed: readonly string[];
}

function image(): ImageSpec {
  const frontends = [TCP, UDP].map((protocol) => ({ ip: N.VIP, port: 80, protocol }));
  const backends = [{ ip: N.POD2_IP, port: 8080, id: 1 }];
  return S.nodeImage6({
    snat: { ip: N.NODE_IP, first: 40_000, last: 40_255 },
    services: [{ frontends, backends }],
  });
}

/** Source ports are the node's to choose where another connection has that one, but for a service's. */
function describe(frame: Uint8Array): string {
  const { ip, sport, dport } = read(frame);
  return `${ip.src}:${ip.src === N.VIP ? sport : '*'} ${ip.dst}:${dport} ${frame.at(-1)}`;
}

/** Each flow speaks TCP or UDP, to a service, to a pod, or out of the cluster, and the far end of the first two answers. */
function cases(): Case[] {
  return Array.from({ length: FLOWS }, (_, i): Case[] => {
    const sport = FIRST_PORT + i;
    const data = Uint8Array.of(i);
    const packet = (flow: ReturnType<typeof N.flow>, flags: number): Uint8Array =>
      i % 2 === 0 ? N.udpPacket(flow, data) : N.tcpPacket(flow, flags, data);
    const from1 = (dst: string, dport: number, flags: number): Uint8Array =>
      N.fromPod(N.POD1, packet(N.flow(N.POD1_IP, sport, dst, dport), flags));
    const back = N.fromPod(N.POD2, packet(N.flow(N.POD2_IP, 8080, N.POD1_IP, sport), SYN | ACK));
    // Who answers after the connection was taken away speaks for himself.
    const answers = [`${N.VIP}:80 ${N.POD1_IP}:${sport} ${i}`, `${N.POD2_IP}:* ${N.POD1_IP}:${sport} ${i}`];
    if (i % 3 === 0) {
      const allowed = [`${N.NODE_IP}:* ${N.OUTSIDE}:443 ${i}`];
      return [SYN, RST].map((flags) => ({ port: N.POD1, frame: from1(N.OUTSIDE, 443, flags), allowed }));
    }
    const served = [`${N.POD1_IP}:* ${N.POD2_IP}:8080 ${i}`];
    const [dst, dport] = i % 3 === 1 ? [N.VIP, 80] : [N.POD2_IP, 8080];
    return [
      { port: N.POD1, frame: from1(dst, dport, SYN), allowed: served },
      { port: N.POD1, frame: from1(dst, dport, RST), allowed: served },
      { port: N.POD2, frame: back, allowed: answers },
    ];
  }).flat();
}

/** One worker: batches of these, by chance, each result looked at. */
function work({ module, memory, framesBase, seed }: Task): Report {
  const pipeline = startPipeline(module, memory);
  const random = new Random(seed);
  const all = cases();
  const view = new DataView(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  const outcomes = new Array<number>(L.OUTCOME_COUNT).fill(0);
  const failures: string[] = [];
  for (let batch = 0; batch < BATCHES && failures.length < 5; batch++) {
    const sent = Array.from({ length: BATCH }, () => random.pick(all));
    for (const [i, { port, frame }] of sent.entries()) {
      const v = L.VECTOR_BASE + i * L.VECTOR_SIZE;
      const at = framesBase + i * 2048 + 256;
      bytes.set(frame, at);
      for (const [word, value] of [
        [L.V_ADDRESS, at],
        [L.V_LENGTH, frame.length],
        [L.V_TOTAL, frame.length],
        [L.V_RX_PORT, port],
      ] as const) {
        view.setUint32(v + word, value, true);
      }
    }
    pipeline.process(BATCH, 1_000_000 + (batch >> 4));
    for (const [i, { allowed }] of sent.entries()) {
      const v = L.VECTOR_BASE + i * L.VECTOR_SIZE;
      const outcome = view.getUint32(v + L.V_OUTCOME, true);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (outcome > L.OUT_FORWARD_HOST) continue;
      const at = view.getUint32(v + L.V_ADDRESS, true);
      const frame = bytes.slice(at, at + view.getUint32(v + L.V_LENGTH, true));
      const found = describe(frame);
      const { ip, l4Good } = read(frame);
      if (!allowed.includes(found) || !ip.headerGood || !l4Good)
        failures.push(`${found} (${ip.headerGood}, ${l4Good}) is none of ${allowed.join(', ')}`);
    }
  }
  return { outcomes, failures };
}

/** Every line in use has its other one, and no tuple has two. */
function checkTable({ view, sessionsBase, sessionsLog2 }: Harness): number {
  const keys = new Set<string>();
  for (let i = 0; i < 2 ** sessionsLog2; i++) {
    const at = sessionsBase + i * L.SESSION_SIZE;
    if (view.getUint32(at + L.S_SRC, true) === 0) continue;
    const peer = view.getUint32(at + L.S_PEER, true);
    assert.is(view.getUint32(peer + L.S_PEER, true), at);
    const words = [L.S_SRC, L.S_DST, L.S_PORTS].map((word) => view.getUint32(at + word, true));
    const key = [...words, view.getUint8(at + L.S_PROTOCOL)].join(' ');
    assert.not(keys.has(key), `two lines for ${key}`);
    keys.add(key);
  }
  return keys.size;
}

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));

for (const count of [2, 3]) {
  testIf(test, file(addon))(
    `${count} threads over a table of 64 lines: no packet is two connections’ work`,
    async () => {
      const workers = startWorkers(image(), { count, sessionsLog2: 6, sessions6Log2: 4 });
      const reports = await Promise.all(
        workers.all.map(async ({ memory, framesBase }, seed) => {
          const task: Task = { module: PIPELINE, memory, framesBase, seed };
          const thread = new Worker(fileURLToPath(import.meta.url), { workerData: task });
          const report = await new Promise<Report>((resolve, reject) => {
            thread.once('message', resolve);
            thread.once('error', reject);
          });
          await thread.terminate();
          return report;
        }),
      );
      assert.equal(
        reports.flatMap(({ failures }) => failures),
        [],
      );
      const lines = checkTable(workers.at(0));
      assert.is(workers.active() * 2, lines);
      const sum = (outcome: number): number =>
        reports.reduce((total, { outcomes }) => total + (outcomes[outcome] ?? 0), 0);
      const fed = count * BATCHES * BATCH;
      assert.ok(sum(L.OUT_FORWARD_POD) + sum(L.OUT_FORWARD_UPLINK) > fed / 4, 'most get through');
    },
  );
}

if (isMainThread) test.run();
else parentPort?.postMessage(work(workerData as Task));
