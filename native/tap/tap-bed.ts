/** For tests of TAPs: pods behind TAPs or veths at one engine, and a wire between two of them. */
import * as assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as L from '../../dataplane-as/layout/index.js';
import { loadNative, type Netns, type Xdp } from '../index.js';

const run = promisify(execFile);
const FRAMES_OFFSET = 0x10000;
const FRAME_COUNT = 4096;
const MAC = (n: number): string => `02:00:00:00:00:0${n + 1}`;

/** `copy`: a veth whose packets come through a ring of copies, where the kernel can. */
export type Kind = 'tap' | 'veth' | 'copy';

/** Port n leads to pod n, whose address is 10.9.0.(n + 1); all know each other's MAC. */
export class TapBed {
  readonly native = loadNative();
  readonly node: Netns;
  readonly pods: Netns[];
  readonly memory = new WebAssembly.Memory({ initial: 140, maximum: 140, shared: true });
  readonly vector = new DataView(this.memory.buffer);
  readonly xdp: Xdp;
  /** How each port is attached. */
  readonly modes: string[] = [];

  constructor(
    readonly kinds: readonly Kind[],
    readonly mtu = 1500,
  ) {
    this.node = this.native.createNetns(this.name('node'));
    this.pods = kinds.map((_, n) => this.native.createNetns(this.name(`p${n}`)));
    this.xdp = this.native.openXdp({
      memory: new Uint8Array(this.memory.buffer),
      vectorOffset: 0,
      vectorCapacity: 256,
      framesOffset: FRAMES_OFFSET,
      frameSize: 2048,
      frameCount: FRAME_COUNT,
      batch: 64,
    });
    for (const n of kinds.keys()) {
      this.wire(n);
      this.modes.push(this.attach(n));
    }
  }

  name(label: string): string {
    return `pterT-${process.pid}-${label}`;
  }

  /** Makes the pod's link. */
  wire(n: number): void {
    const pod = this.pods[n]!;
    if (this.kinds[n] === 'tap') pod.createTap('eth0');
    else {
      this.node.createVeth({ name: `port${n}`, mtu: this.mtu }, { name: 'eth0', netns: pod });
      this.node.setLink(`port${n}`, { up: true });
      pod.setOffloads('eth0', { txChecksum: false, tso: false });
    }
    pod.setSysctl('net/ipv6/conf/eth0/disable_ipv6', '1');
    pod.setLink('eth0', { mac: MAC(n), mtu: this.mtu, up: true });
    pod.addAddress('eth0', `10.9.0.${n + 1}/24`);
    this.kinds.forEach((_, other) => {
      if (other !== n) pod.addNeighbor('eth0', `10.9.0.${other + 1}`, MAC(other));
    });
  }

  /** Opens the port; how it came to be. */
  attach(n: number): string {
    const kind = this.kinds[n]!;
    if (kind === 'tap') {
      return this.xdp.addPort(n, { netns: this.pods[n]!, link: 'eth0', mode: kind, mtu: this.mtu }).mode;
    }
    const mode = kind === 'copy' ? kind : 'auto';
    return this.xdp.addPort(n, { netns: this.node, link: `port${n}`, mode, mtu: this.mtu }).mode;
  }

  word(entry: number, offset: number): number {
    return this.vector.getUint32(entry * L.VECTOR_SIZE + offset, true);
  }

  setWord(entry: number, offset: number, value: number): void {
    this.vector.setUint32(entry * L.VECTOR_SIZE + offset, value, true);
  }

  /** The word of SEGMENTS_BASE of an entry. */
  segment(entry: number): number {
    return this.vector.getUint32(256 * L.VECTOR_SIZE + entry * 4, true);
  }

  /** Says where an IPv4 packet has its transport header, as the pipeline does. */
  parse(entry: number): void {
    const l3 = this.word(entry, L.V_ADDRESS) + 14;
    this.setWord(entry, L.V_L3, l3);
    this.setWord(entry, L.V_L4, l3 + (this.vector.getUint8(l3) & 15) * 4);
    this.setWord(entry, L.V_PROTOCOL, this.vector.getUint8(l3 + 9));
  }

  /** A wire between ports 0 and 1 until `done` settles. Returns the longest packet that came from each. */
  async wireUntil<T>(
    done: Promise<T>,
    each: (entry: number) => void = () => {},
  ): Promise<{ result: T; longest: readonly number[] }> {
    const end: { value?: T; error?: unknown; over: boolean } = { over: false };
    void done.then(
      (value) => Object.assign(end, { value, over: true }),
      (error: unknown) => Object.assign(end, { error, over: true }),
    );
    const longest = [0, 0];
    let received = 0;
    while (!end.over) {
      received = this.xdp.step(received, 500);
      for (let i = 0; i < received; i++) {
        const from = this.word(i, L.V_RX_PORT);
        longest[from] = Math.max(longest[from] ?? 0, this.word(i, L.V_TOTAL));
        this.setWord(i, L.V_TX_PORT, from > 1 ? L.PORT_NONE : 1 - from);
        this.setWord(i, L.V_OUTCOME, L.OUT_FORWARD_POD);
        this.parse(i);
        each(i);
      }
      this.conserved();
      await turn();
    }
    while (received > 0) received = this.xdp.step(received, 0);
    if (end.error !== undefined) throw end.error;
    return { result: end.value as T, longest };
  }

  conserved(): ReturnType<Xdp['frames']> {
    const frames = this.xdp.frames();
    assert.equal(frames.free + frames.caller + frames.kernel, frames.total);
    return frames;
  }

  /** Removes all ports; true when every frame is free again. */
  allFree(): boolean {
    this.kinds.forEach((_, n) => {
      this.xdp.removePort(n);
    });
    for (let i = 0; this.conserved().kernel > 0 && i < 1000; i++) this.xdp.step(0, 10_000);
    return this.xdp.frames().free === FRAME_COUNT;
  }

  /** Runs a program in a pod; its standard output. */
  async inside(n: number, ...argv: string[]): Promise<string> {
    const { stdout } = await run('ip', ['netns', 'exec', this.name(`p${n}`), ...argv]);
    return stdout;
  }

  /** One of the kernel's counters in a pod (`TcpInCsumErrors`, ...). */
  async counter(n: number, name: string): Promise<number> {
    const text = await this.inside(n, 'nstat', '-asz', name);
    return Number(new RegExp(`${name}\\s+(\\d+)`).exec(text)?.[1] ?? 0);
  }

  close(): void {
    this.xdp.close();
    for (const netns of [this.node, ...this.pods]) netns.close();
    for (const label of ['node', ...this.kinds.map((_, n) => `p${n}`)])
      this.native.deleteNetns(this.name(label));
  }
}

export async function withTapBed(bed: TapBed, body: (bed: TapBed) => Promise<void>): Promise<void> {
  try {
    await body(bed);
  } finally {
    bed.close();
  }
}
