/**
 * A worker that sends small UDP packets out of one pod as fast as it can and counts those that reach another: AF_XDP sockets
 * on the pods' own ends, so that neither pod's stack is part of the figure. Half a second of warming up, then windows.
 */
import { parentPort, workerData } from 'node:worker_threads';
import * as L from '../dataplane-as/layout/index.js';
import { loadNative } from '../native/index.js';

export interface StationSpec {
  /** Namespace files of sender and receiver; the link is eth0 in both. */
  readonly from: string;
  readonly to: string;
  /** The packet that is sent, from its Ethernet header on. */
  readonly frames: readonly Uint8Array[];
  readonly windows: number;
  readonly windowMillis: number;
}

const BATCH = 32;
const WARM_MILLIS = 500;
const PAGES = 300;
const FRAMES_OFFSET = 1 << 20;

/** Packets per second of each window. */
function run(spec: StationSpec): number[] {
  const native = loadNative();
  const { buffer } = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const words = new Uint32Array(buffer);
  const xdp = native.openXdp({
    memory: new Uint8Array(buffer),
    vectorOffset: 0,
    vectorCapacity: L.VECTOR_CAPACITY,
    framesOffset: FRAMES_OFFSET,
    frameSize: 4096,
    frameCount: 4096,
    batch: BATCH * 2,
  });
  [spec.from, spec.to].forEach((path, port) => {
    const netns = native.openNetns(path);
    xdp.addPort(port, { netns, link: 'eth0', mode: 'native', mtu: 1500 });
    netns.close();
  });
  const rates: number[] = [];
  let next = 0;
  let counted = 0;
  let entries = 0;
  let until = performance.now() + WARM_MILLIS;
  for (let window = -1; window < spec.windows; ) {
    for (let i = 0; i < BATCH && entries < L.VECTOR_CAPACITY; i++) {
      if (!xdp.inject(entries, spec.frames[next]!, L.PORT_NONE)) break;
      words[(entries * L.VECTOR_SIZE + L.V_TX_PORT) >>> 2] = 0;
      next = (next + 1) % spec.frames.length;
      entries++;
    }
    entries = xdp.step(entries, 0);
    // What was received is given back by the next step: its answer is PORT_NONE as it lies there.
    for (let i = 0; i < entries; i++) {
      const total = words[(i * L.VECTOR_SIZE + L.V_TOTAL) >>> 2];
      if (words[(i * L.VECTOR_SIZE + L.V_RX_PORT) >>> 2] === 1 && total === spec.frames[0]!.length) counted++;
    }
    const now = performance.now();
    if (now < until) continue;
    if (window >= 0) rates.push((counted * 1000) / (now - until + spec.windowMillis));
    window++;
    counted = 0;
    until = performance.now() + spec.windowMillis;
  }
  xdp.close();
  return rates;
}

if (parentPort !== null) parentPort.postMessage(run(workerData as StationSpec));
