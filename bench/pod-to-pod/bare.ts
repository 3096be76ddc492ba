/**
 * A node that passes packets on from one pod to the other without looking at them, over AF_XDP as the data plane does: what is left is the
 * kernel's own part, which no data plane in user space is without.
 */
import { once } from 'node:events';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import * as L from '../../dataplane-as/layout/index.js';
import { loadNative } from '../../native/index.js';
import { podLink } from '../../test/backends/items.js';
import { NODE } from './cases.js';
import { PODS, type Side, Wires } from './lab.js';

const PAGES = 600;
const FRAMES_OFFSET = 1 << 20;
const BATCH = 64;

interface BareSpec {
  readonly netns: string;
  readonly stop: Int32Array;
}

export async function openBareSide(name: string, label: string): Promise<Side> {
  const wires = new Wires(label);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const spec: BareSpec = { netns: wires.path('node'), stop };
  const worker = new Worker(new URL(import.meta.url), { workerData: spec });
  await once(worker, 'message');
  return {
    name,
    wires,
    close: async () => {
      const ended = once(worker, 'exit');
      Atomics.store(stop, 0, 1);
      await ended;
      wires.close();
    },
  };
}

function forward({ netns: path, stop }: BareSpec, ready: () => void): void {
  const native = loadNative();
  const { buffer } = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const words = new Uint32Array(buffer);
  const xdp = native.openXdp({
    memory: new Uint8Array(buffer),
    vectorOffset: 0,
    vectorCapacity: L.VECTOR_CAPACITY,
    framesOffset: FRAMES_OFFSET,
    frameSize: 2048,
    frameCount: 16384,
    batch: BATCH,
  });
  const netns = native.openNetns(path);
  PODS.forEach((pod, port) => {
    xdp.addPort(port, { netns, link: podLink(NODE, pod), mode: 'auto', mtu: 1500, sending: 'xdp' });
  });
  netns.close();
  ready();
  for (let entries = 0; Atomics.load(stop, 0) === 0; ) {
    entries = xdp.step(entries, entries > 0 ? 0 : 10_000);
    for (let at = 0; at < entries * L.VECTOR_SIZE; at += L.VECTOR_SIZE)
      words[(at + L.V_TX_PORT) >>> 2] = 1 - words[(at + L.V_RX_PORT) >>> 2]!;
  }
  xdp.close();
}

if (parentPort !== null && workerData !== null) {
  const port = parentPort;
  forward(workerData as BareSpec, () => port.postMessage('ready'));
}
