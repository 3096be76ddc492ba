/**
 * The native addon's public face: namespaces and links (netlink), AF_XDP sockets over the pipeline's memory, and VPP's shared memory.
 * Linux only; `loadNative` says so elsewhere, and nothing that runs without packets from a kernel needs it.
 *
 * Every object with `close()` owns kernel descriptors; nothing else does. Errors are NativeError with errno and object.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { errorText, PteropusError } from '../control/common/errors.js';

/** A system call failed. `code` is the errno's name (`EBUSY`), `syscall` what was tried, `object` on what. */
export class NativeError extends PteropusError {
  constructor(
    readonly syscall: string,
    readonly errno: number,
    readonly code: string,
    object: string,
    /** The kernel's own words, or a hint; may be ''. */
    readonly detail = '',
  ) {
    super(`${syscall}: ${code}${detail === '' ? '' : ` (${detail})`}`, {
      object,
      retryable: code === 'EBUSY' || code === 'EAGAIN' || code === 'EINTR',
    });
  }
}

export interface LinkInfo {
  readonly name: string;
  readonly index: number;
  /** `veth`, `bridge`, `vxlan`, ... or '' for a plain device. */
  readonly type: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Index of the other end or of the lower device; 0 = none. */
  readonly peerIndex: number;
  /** Index of the bridge it is in; 0 = none. */
  readonly master: number;
  /** Receive queues it was made with. */
  readonly rxQueues: number;
}

export interface VethEnd {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** Queues in each direction (default 1): one for each worker of the data plane; both ends of a pair alike. */
  readonly queues?: number;
}

export interface RouteSpec {
  /** CIDR; 'default' for 0.0.0.0/0. */
  readonly destination: string;
  readonly link: string;
  readonly gateway?: string;
  readonly source?: string;
  readonly scope?: 'link' | 'global';
  readonly mtu?: number;
  /** Of two ways to one destination the one with the lower number is taken (default 0; IPv6 1024). */
  readonly metric?: number;
}

/** A network namespace, with a netlink socket opened inside it: no call changes the caller's own namespace. */
export interface Netns {
  readonly path: string;
  links(): LinkInfo[];
  createVeth(near: VethEnd, far: VethEnd & { readonly netns?: Netns }): void;
  createBridge(name: string, options?: { readonly mtu?: number }): void;
  /**
   * Makes a TAP that stays when nobody is attached to it; the data plane attaches by XdpPortSpec.mode `tap`. Down, with a MAC of
   * the kernel's choice. VPP and several workers attach to one with `multiQueue`, and to no other.
   */
  createTap(name: string, options?: { readonly multiQueue?: boolean }): void;
  deleteLink(name: string): void;
  /** All in one go, for which the kernel waits once instead of for each (10 to 50 ms); absent ones are fine. */
  deleteLinks(names: readonly string[]): void;
  setLink(
    name: string,
    change: {
      readonly up?: boolean;
      readonly mtu?: number;
      readonly mac?: string;
      readonly master?: string | null;
      readonly newName?: string;
    },
  ): void;
  addAddress(link: string, cidr: string): void;
  removeAddress(link: string, cidr: string): void;
  addresses(link: string): string[];
  addRoute(route: RouteSpec): void;
  removeRoute(route: RouteSpec): void;
  /** Permanent neighbor entry. */
  addNeighbor(link: string, address: string, mac: string): void;
  /**
   * The kernel's own stack takes nothing more that comes in by the link; packet sockets (af_packet) go on seeing it. Once more is fine.
   * Lasts as long as the link. Before kernel 6.6 (tcx) it takes the place of the link's ingress qdisc, and is ENOENT without a BPF classifier (CONFIG_NET_CLS_BPF).
   */
  deafen(link: string): void;
  /** Ethernet offloads by their ethtool names; features the device lacks are ignored. */
  setOffloads(
    link: string,
    features: {
      readonly txChecksum?: boolean;
      readonly tso?: boolean;
      readonly gso?: boolean;
      readonly gro?: boolean;
      /** Takes VLAN tags (IEEE 802.1Q) off what comes in. */
      readonly rxVlan?: boolean;
    },
  ): void;
  /** `net/ipv4/ip_forward`; relative to /proc/sys, inside the namespace. */
  setSysctl(name: string, value: string): void;
  close(): void;
}

export interface XdpOptions {
  /** View over the whole shared WebAssembly memory; the addon keeps a reference. */
  readonly memory: Uint8Array;
  /** Byte offset of the packet vector and its capacity (dataplane-as/layout); the words of SEGMENTS_BASE follow it. */
  readonly vectorOffset: number;
  readonly vectorCapacity: number;
  /** Frames: page-aligned offset, size 2048 or 4096, count a power of two; they lie FRAME_GAP apart. */
  readonly framesOffset: number;
  readonly frameSize: number;
  readonly frameCount: number;
  /** Most packets one step receives (<= vectorCapacity). */
  readonly batch: number;
  /**
   * One of several engines in this process that serve the same links (default 0 of 1): of each device it has the queues that are
   * `worker` modulo `workers`. A port whose device has fewer queues than that is refused (ENOSPC).
   */
  readonly worker?: number;
  readonly workers?: number;
}

export interface XdpPortSpec {
  readonly netns: Netns | null;
  readonly link: string;
  /**
   * native: driver mode, generic: skb mode, auto: native where it attaches; tap: the link is a TAP (createTap), read and written
   * with virtio-net headers. What a TAP leaves undone (checksums, TCP and UDP segments) is done when a packet leaves by another
   * kind of port; V_OUTCOME says whether it is still the packet that came (OUT_FORWARD_*), so the pipeline must have set it.
   * copy: a program at the link copies what comes into a ring of its own (tcx, kernel >= 6.6, one worker; else as auto). It costs the
   * sender of a veth half of what XDP does, but nobody makes that one do its own segmentation and checksums: the other end must be ours.
   */
  readonly mode: 'native' | 'generic' | 'auto' | 'tap' | 'copy';
  /** Largest IP packet; above one frame multi-buffer is used (kernel >= 6.6). */
  readonly mtu: number;
  /**
   * How packets leave, but by TAPs. best (also if absent): to the end of a veth many at a time, which takes a third less of the
   * worker (tcx, kernel >= 6.6, MTU up to 3,566); to other links, on older kernels and for larger MTUs each by AF_XDP. xdp: all by AF_XDP.
   */
  readonly sending?: 'best' | 'xdp';
}

export interface XdpPortMode {
  readonly mode: 'native' | 'generic' | 'tap' | 'copy';
  /** Packets of several buffers pass (kernel >= 6.6). */
  readonly multiBuffer: boolean;
}

/** AF_XDP sockets and TAPs of one worker over one UMEM that is the WebAssembly memory. Not thread-safe but for `wake`. */
export interface Xdp {
  /**
   * Starts opening the sockets and attaching the redirect program in the background, which takes the kernel 10 to 30 ms;
   * `port` becomes V_RX_PORT of what arrives. The end is told by `opened`, and wakes a waiting `step`.
   */
  openPort(port: number, spec: XdpPortSpec): void;
  /** The ports whose opening ended since the last call. One with an error is free again. */
  opened(): (XdpPortMode & { readonly port: number; readonly error: NativeError | null })[];
  /** openPort, and waits for its end; for callers that have no packets to carry meanwhile. */
  addPort(port: number, spec: XdpPortSpec): XdpPortMode;
  /** Ends service at once; the kernel's part is undone in the background, then the frames come back. Absent is fine. */
  removePort(port: number): void;
  /**
   * Transmits or frees the first `transmit` vector entries as V_TX_PORT says (PORT_NONE = free), reaps completions, refills,
   * then receives up to `batch` packets into the vector. When nothing is there it waits up to `timeoutMicros`
   * (0 = return at once), if `bound` on the core from which the first packet after the last pause was sent, without looking before it sleeps;
   * the calling thread stays bound to that core until a step that is not. Returns the number received. Allocates nothing.
   */
  step(transmit: number, timeoutMicros: number, bound?: boolean): number;
  /** The first part of a step alone. */
  send(transmit: number): void;
  /** Takes a free frame, copies `bytes` into it and appends it to the vector as entry `at`; false if no frame is free. */
  inject(at: number, bytes: Uint8Array, port: number): boolean;
  /** Makes a waiting `step` return; callable from any thread through `wakeFd`. */
  readonly wakeFd: number;
  /** Packets; each is counted once. `fillEmpty`: lost for want of a free frame; `invalid`: not sendable as described. */
  counters(port: number): {
    readonly rxDropped: number;
    readonly txFull: number;
    readonly fillEmpty: number;
    readonly invalid: number;
  };
  /**
   * Packets leave many at a time, by a TAP of the link's namespace (`ptsend0`) that is there as long as the engine; that may end while
   * the port is open. A port that is being opened does not.
   */
  injects(port: number): boolean;
  /** Who holds the frames; always total = free + caller + kernel (rings and packets under way). For tests and diagnosis. */
  frames(): {
    readonly total: number;
    readonly free: number;
    readonly caller: number;
    readonly kernel: number;
  };
  close(): void;
}

/** The statistics segment of a VPP (control/backends/vpp/stats reads it). A process that is gone leaves its last figures. */
export interface StatsSegment {
  /** Bytes. */
  readonly size: number;
  /**
   * Fills `into` from `offset`; aligned words of 8 bytes are each read at once. False: not all of it lies in the segment, or that is
   * closed.
   */
  copy(offset: number, into: Uint8Array): boolean;
  close(): void;
}

export interface VppChannelOptions {
  /** Path of VPP's libvppapiclient.so; the first one that a process loads stays the only one. */
  readonly library: string;
  /** Of VPP's configuration (`api-segment { prefix }`); '' = none. */
  readonly prefix: string;
  /** Shown by VPP in `show api clients`. */
  readonly name: string;
}

/**
 * A connection to VPP through its shared memory, by its own client library; one for each process. Messages are without the transport's
 * header; VPP's questions whether we are alive are answered. Nothing here waits for VPP.
 */
export interface VppChannel {
  /** Number of a message by `name_crc`; negative: VPP has none of this form. */
  messageIndex(name: string): number;
  /** Copies the message; what follows the message's number, the client's index, is filled in. */
  send(message: Uint8Array): void;
  /** All that came since the last call. */
  take(): Buffer[];
  /** Disconnects after what was sent before; the listener is told when it is done. */
  close(): void;
}

/**
 * `connected` or `failed` (with the reason) first; `arrived`: there are messages to take; `closed`: the last one, after which another
 * channel may be opened.
 */
export type VppChannelListener = (event: 'connected' | 'failed' | 'arrived' | 'closed', why: string) => void;

export interface Native {
  /** The calling process's own namespace. */
  currentNetns(): Netns;
  openNetns(path: string): Netns;
  /** Makes /run/netns/NAME (visible to `ip netns`), with lo up. */
  createNetns(name: string): Netns;
  /** Unmounts and removes /run/netns/NAME; absent is fine. */
  deleteNetns(name: string): void;
  listNetns(): string[];
  openXdp(options: XdpOptions): Xdp;
  openVppChannel(options: VppChannelOptions, listener: VppChannelListener): VppChannel;
  /** Takes the segment from VPP's stats socket (`statseg { socket-name }`), and reads it without its help from then on. */
  openStats(socketPath: string): StatsSegment;
  /** Signals the wake descriptor of another thread's Xdp. */
  wake(wakeFd: number): void;
  /** SIGKILL for this process when its parent ends. */
  dieWithParent(): void;
  /**
   * Asks the kernel for huge pages in `memory`, before it is first touched: session lines lie anywhere in a large table, and
   * with small pages each of them costs a walk through the page tables. False where the kernel has none to give.
   */
  preferHugePages(memory: Uint8Array): boolean;
  /** Gives what this process has freed outside JavaScript's heap back to the system (malloc_trim(3)); where there is no such call, nothing. */
  trimMemory(): void;
  /**
   * Makes all views, of one length, show the same memory from now on, zeroed: parts of WebAssembly memories that are to hold the same.
   * Each begins and ends with a page. Throws NativeError.
   */
  shareMemory(views: readonly Uint8Array[]): void;
  /**
   * Asks the scheduler to give the calling thread the core in slices of so many microseconds (100 to 100,000; sched_setattr(2), kernel
   * 6.12): who asks for short ones gets the core sooner after a wake-up, and no more of it. False where it is refused.
   */
  shortSlice(micros: number): boolean;
  /** Lets others that wait for this core run first (sched_yield(2)); returns at once when nobody does. */
  yieldThread(): void;
  /** The calling thread's niceness, -20 (first) to 19 (sched(7)). */
  niceness(): number;
  /** Sets the calling thread's niceness, nobody else's; false where that is refused (CAP_SYS_NICE). */
  setNice(nice: number): boolean;
  /** Pins the calling thread to a core. */
  pinThread(core: number): void;
}

/** What the binary exports: it calls `makeError` for each system call that failed, and throws the result. */
interface Binary {
  bind(makeError: (syscall: string, errno: number, object: string, detail: string) => NativeError): Native;
}

const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

function makeError(syscall: string, errno: number, object: string, detail: string): NativeError {
  return new NativeError(syscall, errno, ERRNO_NAMES.get(errno) ?? `E${errno}`, object, detail);
}

let loaded: Native | undefined;

/** Loads the addon, or throws NativeUnavailableError with the reason. */
export function loadNative(): Native {
  if (loaded === undefined) {
    if (process.platform !== 'linux')
      throw new NativeUnavailableError('the native addon is for Linux only', {});
    const path = fileURLToPath(new URL('../../native/pteropus.node', import.meta.url));
    try {
      loaded = (createRequire(import.meta.url)(path) as Binary).bind(makeError);
    } catch (cause) {
      const why = existsSync(path)
        ? `does not load: ${errorText(cause)}`
        : 'is not built: run `npm run build`';
      throw new NativeUnavailableError(`the native addon ${why}`, { object: path, cause });
    }
  }
  return loaded;
}

export class NativeUnavailableError extends PteropusError {}
