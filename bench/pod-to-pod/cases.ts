/** What is sent: addresses, rules and packets that both sides have alike. */
import {
  bviMac,
  gatewayMac,
  nodeAddress,
  OUTSIDE,
  podAddress,
  podMac,
  uplinkMac,
} from '../../test/backends/items.js';

export const NODE = 1;
export const PEER = 2;
export const CLIENT = podAddress(NODE, 1);
export const SERVER = podAddress(NODE, 2);
export const REMOTE = podAddress(PEER, 1);
/** Not of the cluster: what pods send there gets the node's address. */
export const WORLD = '198.51.100.1';
export const REMOTE_MAC = uplinkMac(PEER);
export const REMOTE_ADDRESSES = [nodeAddress(PEER), OUTSIDE] as const;
export const FRONTEND_PORT = 80;
export const BACKEND_PORT = 8080;

export interface Service {
  readonly address: string;
  readonly backend: string;
}
export const NEAR: Service = { address: '10.96.0.10', backend: SERVER };
export const FAR: Service = { address: '10.96.0.11', backend: REMOTE };
export const SERVICES = [NEAR, FAR] as const;

/** The client may call so many lists of addresses at so many ranges of ports each: 1,000 rules. */
const LISTS = 50;
const RANGES = 20;
const LIST_SIZE = 4;

/** The last list holds those that are called. */
export const ALLOWED: readonly (readonly string[])[] = [
  ...Array.from({ length: LISTS - 1 }, (_, list) =>
    Array.from({ length: LIST_SIZE }, (_, i) => `10.1.${10 + list}.${10 + i}`),
  ),
  [SERVER, REMOTE, WORLD],
];
/** The last range holds the port that is called. */
export const RANGES_ALLOWED: readonly { readonly from: number; readonly to: number }[] = Array.from(
  { length: RANGES },
  (_, i) => (i === RANGES - 1 ? { from: 8000, to: 8100 } : { from: 100 + i * 100, to: 149 + i * 100 }),
);

export interface Case {
  readonly name: string;
  /** Where the client's packets come out. */
  readonly exit: 'server' | 'remote';
  readonly destination: string;
  readonly port: number;
  /** Whose packets are counted: the client's, or the answers to them. */
  readonly counted: 'calls' | 'answers';
}

export const CASES: readonly Case[] = [
  {
    name: 'same node, to a service',
    exit: 'server',
    destination: NEAR.address,
    port: FRONTEND_PORT,
    counted: 'calls',
  },
  {
    name: 'to a service on another node (VXLAN)',
    exit: 'remote',
    destination: FAR.address,
    port: FRONTEND_PORT,
    counted: 'calls',
  },
  {
    name: 'its answers (VXLAN)',
    exit: 'remote',
    destination: FAR.address,
    port: FRONTEND_PORT,
    counted: 'answers',
  },
  {
    name: 'out of the cluster (source NAT)',
    exit: 'remote',
    destination: WORLD,
    port: BACKEND_PORT,
    counted: 'calls',
  },
];

const ETHERNET = 14;
const IP = 20;
const UDP = 8;
/** Ethernet, IPv4, UDP, VXLAN. */
const TUNNEL = ETHERNET + IP + UDP + 8;
const VXLAN_PORT = 4789;
const FIRST_PORT = 10_000;

const macBytes = (mac: string): number[] => mac.split(':').map((byte) => Number.parseInt(byte, 16));

/** The client's packet of a flow: UDP without checksum, 60 bytes, 64 with the frame's check sequence. */
export function call(flow: number, { destination, port }: Case): Uint8Array {
  const bytes = new Uint8Array(60);
  const view = new DataView(bytes.buffer);
  bytes.set([...macBytes(gatewayMac(NODE)), ...macBytes(podMac(NODE, 1)), 0x08, 0x00]);
  bytes.set([0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17], ETHERNET);
  bytes.set(CLIENT.split('.').map(Number), ETHERNET + 12);
  bytes.set(destination.split('.').map(Number), ETHERNET + 16);
  let sum = 0;
  for (let i = ETHERNET; i < ETHERNET + IP; i += 2) sum += view.getUint16(i);
  view.setUint16(ETHERNET + 10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  view.setUint16(ETHERNET + IP, FIRST_PORT + flow);
  view.setUint16(ETHERNET + IP + 2, port);
  view.setUint16(ETHERNET + IP + 4, 46 - IP);
  return bytes;
}

/** The flow whose answer this is, as the client gets it; -1: something else. */
export function answered(frame: Uint8Array, flows: number): number {
  if (!isUdp(frame, 0)) return -1;
  const flow = view16(frame, ETHERNET + IP + 2) - FIRST_PORT;
  return flow >= 0 && flow < flows ? flow : -1;
}

/** What who received this answers: addresses and ports change sides, in the tunnel and around it. Null: not for us. */
export function answer(frame: Uint8Array): Uint8Array | null {
  if (!isUdp(frame, 0)) return null;
  const bytes = frame.slice();
  const tunneled = view16(frame, ETHERNET + IP + 2) === VXLAN_PORT;
  swap(bytes, 0, 6, 6);
  swap(bytes, ETHERNET + 12, ETHERNET + 16, 4);
  const inner = tunneled ? TUNNEL : 0;
  if (tunneled) {
    if (!isUdp(frame, inner)) return null;
    bytes.set([...macBytes(bviMac(NODE)), ...macBytes(bviMac(PEER))], inner);
    swap(bytes, inner + ETHERNET + 12, inner + ETHERNET + 16, 4);
  }
  swap(bytes, inner + ETHERNET + IP, inner + ETHERNET + IP + 2, 2);
  return bytes;
}

function view16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
}

function isUdp(frame: Uint8Array, at: number): boolean {
  return (
    frame.length >= at + ETHERNET + IP + UDP &&
    view16(frame, at + 12) === 0x0800 &&
    frame[at + ETHERNET + 9] === 17
  );
}

function swap(bytes: Uint8Array, a: number, b: number, length: number): void {
  const first = bytes.slice(a, a + length);
  bytes.copyWithin(a, b, b + length);
  bytes.set(first, b);
}
