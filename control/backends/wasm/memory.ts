/** The shared memory of one data plane: sizes, map, control block. */
import { randomInt } from 'node:crypto';
import * as L from '../../../dataplane-as/layout/index.js';
import { PteropusError } from '../../common/errors.js';
import { Image } from './image.js';
import { align, DEFAULT_IMAGE_SIZE, type ImagePlan, type ImageSize, planImage } from './image-plan.js';

/** Idle times after which a session is forgotten, milliseconds. */
export interface Timeouts {
  readonly tcpSyn: number;
  readonly tcpEstablished: number;
  readonly tcpClosing: number;
  /** UDP with packets in one direction only, and in both. */
  readonly udp: number;
  readonly udpStream: number;
  readonly icmp: number;
  readonly sctp: number;
  readonly other: number;
  readonly fragment: number;
}

/** RFC 5382 section 5 (TCP), RFC 4787 section 4.3 (UDP), RFC 791 (fragments); TCP as long as Linux keeps it in clusters. */
const DEFAULT_TIMEOUTS: Timeouts = {
  tcpSyn: 30_000,
  tcpEstablished: 7_440_000,
  tcpClosing: 60_000,
  udp: 30_000,
  udpStream: 300_000,
  icmp: 30_000,
  sctp: 3_600_000,
  other: 120_000,
  fragment: 15_000,
};

export interface MemorySpec {
  readonly image?: ImageSize;
  /** log2 of the number of session lines; two lines a connection. */
  readonly sessionsLog2?: number;
  /** Same for IPv6; a quarter of IPv4's when absent. */
  readonly sessions6Log2?: number;
  /** A power of two from 2048 on; AF_XDP knows only 2048 and 4096. */
  readonly frameSize?: number;
  /** A power of two. */
  readonly frameCount?: number;
  readonly timeouts?: Partial<Timeouts>;
  /** Seed of the pipeline's choices; random when absent. */
  readonly seed?: number;
  /** Workers, each with a memory of its own by one plan; 1 when absent, at most MAX_WORKERS. */
  readonly workers?: number;
}

/** Byte offsets of the regions whose place depends on the sizes. Plain data: a worker gets it in a message. */
export interface MemoryPlan {
  readonly image: ImagePlan;
  readonly images: readonly [number, number];
  readonly workers: number;
  /** What several workers share beside images and sessions (SH_*); 0 with one worker alone. */
  readonly sharedBase: number;
  readonly sessionsBase: number;
  readonly sessionsLog2: number;
  readonly sessions6Base: number;
  readonly sessions6Log2: number;
  readonly framesBase: number;
  /** Bytes of a frame; they lie FRAME_GAP apart. */
  readonly frameSize: number;
  readonly frameCount: number;
  /** Bytes of the whole memory, a multiple of 64 KiB. */
  readonly end: number;
  readonly timeouts: Timeouts;
  readonly seed: number;
}

const PAGE = 4096;
const WASM_PAGE = 65536;

/** Plans the memory; throws PteropusError for impossible sizes. Default: 2^18 session lines (2^16 for IPv6), 8,192 frames, 174 MiB of addresses. */
export function planMemory(spec: MemorySpec = {}): MemoryPlan {
  const { sessionsLog2 = 18, frameSize = 2048, frameCount = 8192 } = spec;
  if (!isPowerOfTwo(frameSize) || frameSize < 2048 || frameSize > 65536) throw bad('frameSize', frameSize);
  if (!isPowerOfTwo(frameCount)) throw bad('frameCount', frameCount);
  if (!Number.isInteger(sessionsLog2) || sessionsLog2 < 4 || sessionsLog2 > 25) {
    throw bad('sessionsLog2', sessionsLog2);
  }
  const sessions6Log2 = spec.sessions6Log2 ?? Math.max(4, sessionsLog2 - 2);
  if (!Number.isInteger(sessions6Log2) || sessions6Log2 < 4 || sessions6Log2 > 24) {
    throw bad('sessions6Log2', sessions6Log2);
  }
  const image = planImage(spec.image ?? DEFAULT_IMAGE_SIZE);
  const { workers = 1 } = spec;
  if (!Number.isInteger(workers) || workers < 1 || workers > L.MAX_WORKERS) throw bad('workers', workers);
  const imagesEnd = L.IMAGES_BASE + 2 * image.bytes;
  const sharedBase = align(imagesEnd, PAGE);
  const sessionsBase = workers === 1 ? imagesEnd : sharedBase + L.SH_SIZE;
  const sessions6Base = sessionsBase + L.SESSION_SIZE * 2 ** sessionsLog2;
  const framesBase = align(sessions6Base + L.SESSION6_SIZE * 2 ** sessions6Log2, PAGE);
  const end = align(framesBase + (frameSize + L.FRAME_GAP) * frameCount, WASM_PAGE);
  if (end > 2 ** 32 - WASM_PAGE) throw bad('memory', end);
  return {
    image,
    images: [L.IMAGES_BASE, L.IMAGES_BASE + image.bytes],
    ...{ workers, sharedBase: workers === 1 ? 0 : sharedBase },
    ...{ sessionsBase, sessionsLog2, sessions6Base, sessions6Log2 },
    ...{ framesBase, frameSize, frameCount, end },
    timeouts: { ...DEFAULT_TIMEOUTS, ...spec.timeouts },
    seed: spec.seed ?? randomInt(2 ** 31),
  };
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}

function bad(field: string, value: unknown): PteropusError {
  return new PteropusError('impossible size of the data plane memory', { field, value });
}

/**
 * Makes the memory (initial = maximum, so it never moves) with its control block and two empty images, the first in force.
 * `prefer` gets the bytes of the sessions before they are touched and may ask the kernel for larger pages there: of images little is in
 * use at a time, and the rest should take no memory.
 */
export function openMemory(plan: MemoryPlan, prefer?: (tables: Uint8Array) => boolean): WebAssembly.Memory {
  const memory = openOne(plan, 0, prefer);
  writeImages(plan, memory);
  return memory;
}

/**
 * Makes the memories of all workers. `share` makes views of them show the same memory: all that is one for all lies there. One worker
 * alone shares nothing. `prefer` as in openMemory().
 */
export function openMemories(
  plan: MemoryPlan,
  share: (views: readonly Uint8Array[]) => void,
  prefer?: (sessions: Uint8Array) => boolean,
): readonly [WebAssembly.Memory, ...WebAssembly.Memory[]] {
  if (plan.workers === 1) return [openMemory(plan, prefer)];
  const first = openOne(plan, 0);
  const all = [first, ...Array.from({ length: plan.workers - 1 }, (_, i) => openOne(plan, i + 1))] as const;
  for (const [from, to] of sharedStretches(plan)) {
    share(all.map((memory) => new Uint8Array(memory.buffer, from, to - from)));
  }
  // Shared memory gets larger pages where it is touched, if the kernel has any for it.
  for (const memory of all) prefer?.(sessionsOf(plan, memory));
  writeImages(plan, first);
  return all;
}

/** The sessions of IPv4, of which there are most. */
function sessionsOf(plan: MemoryPlan, memory: WebAssembly.Memory): Uint8Array {
  return new Uint8Array(memory.buffer, plan.sessionsBase, plan.sessions6Base - plan.sessionsBase);
}

/** Where what several workers have in common lies, from and to: whole pages. */
function sharedStretches(plan: MemoryPlan): readonly (readonly [number, number])[] {
  return [
    [L.SMALL_BASE, L.SMALL_END],
    [L.SMALL6_BASE, L.SMALL6_END],
    [L.IMAGES_BASE, plan.framesBase],
  ];
}

/** Byte offset of the word that names the image in force. */
export function activeImageAt(plan: MemoryPlan): number {
  return plan.workers === 1 ? L.CONTROL_BASE + L.CTL_ACTIVE_IMAGE : plan.sharedBase + L.SH_ACTIVE_IMAGE;
}

/** Two empty images, the first one in force. */
function writeImages(plan: MemoryPlan, memory: WebAssembly.Memory): void {
  const words = wordsOf(memory);
  for (const base of plan.images) {
    const image = new Image(words, base, plan.image);
    image.writeHeader();
    image.generation = 1;
  }
  Atomics.store(words, activeImageAt(plan) >>> 2, plan.images[0]);
}

function openOne(
  plan: MemoryPlan,
  worker: number,
  prefer?: (sessions: Uint8Array) => boolean,
): WebAssembly.Memory {
  const pages = plan.end / WASM_PAGE;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const words = wordsOf(memory);
  const large = prefer?.(sessionsOf(plan, memory)) ?? false;
  // A huge page takes long to be zeroed: now, and not when the first packet needs it.
  if (large) for (let at = plan.sessionsBase; at < plan.sessions6Base; at += PAGE) words[at >>> 2] = 0;
  const control = (offset: number, value: number): void => {
    words[(L.CONTROL_BASE + offset) >>> 2] = value;
  };
  control(L.CTL_MAGIC, L.LAYOUT_MAGIC);
  control(L.CTL_VERSION, L.LAYOUT_VERSION);
  control(L.CTL_ACK_IMAGE, plan.images[0]);
  control(L.CTL_IMAGE_SIZE, plan.image.bytes);
  control(L.CTL_SESSIONS_BASE, plan.sessionsBase);
  control(L.CTL_SESSIONS_LOG2, plan.sessionsLog2);
  control(L.CTL_SESSIONS6_BASE, plan.sessions6Base);
  control(L.CTL_SESSIONS6_LOG2, plan.sessions6Log2);
  control(L.CTL_FRAMES_BASE, plan.framesBase);
  control(L.CTL_FRAME_SIZE, plan.frameSize);
  control(L.CTL_FRAME_COUNT, plan.frameCount);
  control(L.CTL_SEED, plan.seed);
  control(L.CTL_MEMORY_END, plan.end);
  control(L.CTL_WORKERS, plan.workers);
  control(L.CTL_WORKER, worker);
  control(L.CTL_SHARED_BASE, plan.sharedBase);
  const t = plan.timeouts;
  control(L.CTL_TIMEOUT_TCP_SYN, t.tcpSyn);
  control(L.CTL_TIMEOUT_TCP_ESTABLISHED, t.tcpEstablished);
  control(L.CTL_TIMEOUT_TCP_CLOSING, t.tcpClosing);
  control(L.CTL_TIMEOUT_UDP, t.udp);
  control(L.CTL_TIMEOUT_UDP_STREAM, t.udpStream);
  control(L.CTL_TIMEOUT_ICMP, t.icmp);
  control(L.CTL_TIMEOUT_SCTP, t.sctp);
  control(L.CTL_TIMEOUT_OTHER, t.other);
  control(L.CTL_TIMEOUT_FRAGMENT, t.fragment);
  return memory;
}

/** The whole memory as words. */
export function wordsOf(memory: WebAssembly.Memory): Uint32Array {
  return new Uint32Array(memory.buffer);
}

/** The whole memory as bytes. */
export function bytesOf(memory: WebAssembly.Memory): Uint8Array {
  return new Uint8Array(memory.buffer);
}
