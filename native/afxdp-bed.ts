/** For tests of AF_XDP: a node with pods behind veths, sockets on the node's ends, and a wire between two of them. */
import * as assert from 'node:assert/strict';
import {
  type ChildProcessByStdio,
  execFile,
  execFileSync,
  type PromiseWithChild,
  spawn,
} from 'node:child_process';
import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as L from '../dataplane-as/layout/index.js';
import { loadNative, type Netns, type Xdp, type XdpPortMode, type XdpPortSpec } from './index.js';

const run = promisify(execFile);

export const name = (label: string): string => `pterNx-${process.pid}-${label}`;
export const FRAMES_OFFSET = 0x10000;
export const FRAME_COUNT = 1024;

/** One node namespace and pods behind veths; port n leads to pod n, whose address is 10.9.0.(n + 1). */
export class Bed {
  /** How the ports of the next beds send. */
  static sending: NonNullable<XdpPortSpec['sending']> = 'best';

  readonly native = loadNative();
  readonly node: Netns;
  readonly pods: Netns[] = [];
  readonly memory: WebAssembly.Memory;
  readonly vector: DataView;
  readonly xdp: Xdp;

  constructor(pods: number, mtu = 1500, frameSize = 4096) {
    this.node = this.native.createNetns(name('node'));
    for (let n = 0; n < pods; n++) {
      const pod = this.native.createNetns(name(`p${n}`));
      this.pods.push(pod);
      this.wire(n, mtu);
    }
    this.memory = new WebAssembly.Memory({ initial: 80, maximum: 80, shared: true });
    this.vector = new DataView(this.memory.buffer);
    this.xdp = this.native.openXdp({
      memory: new Uint8Array(this.memory.buffer),
      vectorOffset: 0,
      vectorCapacity: 256,
      framesOffset: FRAMES_OFFSET,
      frameSize,
      frameCount: FRAME_COUNT,
      batch: 64,
    });
  }

  wire(n: number, mtu: number): void {
    const pod = this.pods[n]!;
    this.node.createVeth({ name: `port${n}`, mtu }, { name: 'eth0', mtu, netns: pod });
    this.node.setLink(`port${n}`, { up: true });
    pod.setLink('eth0', { up: true });
    pod.setOffloads('eth0', { txChecksum: false, tso: false });
    pod.addAddress('eth0', `10.9.0.${n + 1}/24`);
  }

  addPort(n: number, spec: Partial<XdpPortSpec> = {}): XdpPortMode {
    return this.xdp.addPort(n, { ...this.#spec(n), ...spec });
  }

  openPort(n: number, spec: Partial<XdpPortSpec> = {}): void {
    this.xdp.openPort(n, { ...this.#spec(n), ...spec });
  }

  #spec(n: number): XdpPortSpec {
    return { netns: this.node, link: `port${n}`, mode: 'auto', mtu: 1500, sending: Bed.sending };
  }

  word(entry: number, offset: number): number {
    return this.vector.getUint32(entry * L.VECTOR_SIZE + offset, true);
  }

  setWord(entry: number, offset: number, value: number): void {
    this.vector.setUint32(entry * L.VECTOR_SIZE + offset, value, true);
  }

  /** Packets that the pod's end has seen. */
  arrived(pod: number): number {
    const statistics = '/sys/class/net/eth0/statistics/rx_packets';
    return Number(execFileSync('ip', ['netns', 'exec', name(`p${pod}`), 'cat', statistics]));
  }

  /** The bytes of an entry's packet, whole. */
  bytesOf(entry: number): Uint8Array {
    const at = this.word(entry, L.V_ADDRESS);
    return new Uint8Array(this.memory.buffer).slice(at, at + this.word(entry, L.V_LENGTH));
  }

  /** A wire between ports 0 and 1 until `done` settles. Returns what it saw. */
  async wireUntil<T>(
    done: Promise<T>,
    between: (round: number) => void = () => {},
  ): Promise<{ result: T; packets: number; longest: number }> {
    const end: { value?: T; error?: unknown; over: boolean } = { over: false };
    void done.then(
      (value) => Object.assign(end, { value, over: true }),
      (error: unknown) => Object.assign(end, { error, over: true }),
    );
    let received = 0;
    let packets = 0;
    let longest = 0;
    for (let round = 0; !end.over; round++) {
      received = this.xdp.step(received, 500);
      packets += received;
      for (let i = 0; i < received; i++) {
        longest = Math.max(longest, this.word(i, L.V_TOTAL));
        const from = this.word(i, L.V_RX_PORT);
        this.setWord(i, L.V_TX_PORT, from > 1 ? L.PORT_NONE : 1 - from);
      }
      between(round);
      this.conserved();
      await turn();
    }
    this.drain(received);
    if (end.error !== undefined) throw end.error;
    return { result: end.value as T, packets, longest };
  }

  /** Gives back the packets in hand and all that still arrive, until nothing does for this long. */
  drain(received = 0, micros = 0): void {
    for (let n = this.xdp.step(received, micros); n > 0; ) n = this.xdp.step(n, micros);
  }

  /** Removes ports; true when every frame is free again. */
  allFree(...ports: number[]): boolean {
    for (const port of ports) this.xdp.removePort(port);
    for (let i = 0; this.conserved().kernel > 0 && i < 1000; i++) this.drain(0, 10_000);
    return this.xdp.frames().free === FRAME_COUNT;
  }

  conserved(): ReturnType<Xdp['frames']> {
    const frames = this.xdp.frames();
    assert.equal(frames.free + frames.caller + frames.kernel, frames.total);
    return frames;
  }

  ping(from: number, to: number, ...options: string[]): PromiseWithChild<{ stdout: string }> {
    return run('ip', ['netns', 'exec', name(`p${from}`), 'ping', ...options, `10.9.0.${to + 1}`]);
  }

  close(): void {
    this.xdp.close();
    for (const netns of [this.node, ...this.pods]) netns.close();
    this.pods.forEach((_, n) => {
      this.native.deleteNetns(name(`p${n}`));
    });
    this.native.deleteNetns(name('node'));
  }
}

export async function withBed(bed: Bed, body: (bed: Bed) => Promise<void> | void): Promise<void> {
  try {
    await body(bed);
  } finally {
    bed.close();
  }
}

/** A process that opens the bed's first port, says so on its standard output, and stays. */
export function portOfAnotherProcess(
  bed: Bed,
  mode: XdpPortSpec['mode'],
): ChildProcessByStdio<null, Readable, null> {
  const url = new URL('./index.js', import.meta.url).href;
  return spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { loadNative } from ${JSON.stringify(url)};
       const native = loadNative();
       const { buffer } = new WebAssembly.Memory({ initial: 80, maximum: 80, shared: true });
       const xdp = native.openXdp({ memory: new Uint8Array(buffer), vectorOffset: 0, vectorCapacity: 64,
         framesOffset: 65536, frameSize: 4096, frameCount: 1024, batch: 64 });
       xdp.addPort(0, { netns: native.openNetns(${JSON.stringify(bed.node.path)}), link: 'port0', mode: '${mode}', mtu: 1500 });
       console.log('attached');
       setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
}
