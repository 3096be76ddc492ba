/** What the pipeline benchmark sends: one packet of each of many flows, and where it must go. */
import * as L from '../dataplane-as/layout/index.js';
import type { Harness } from '../test/pipeline/harness.js';
import type { ImageSpec } from '../test/pipeline/image.js';
import * as N from '../test/pipeline/node.js';
import { ACK, type Flow, SYN, TCP } from '../test/pipeline/packets.js';

export interface Scenario {
  readonly name: string;
  /** Outcome of every packet. */
  readonly outcome: number;
  prepare(node: Harness): void;
  /** What its image has beside that of test/pipeline/node.ts. */
  readonly spec?: Partial<ImageSpec>;
  /** The packet of flow `i`, 64 bytes, in a tunnel 112: the one that opens the connection, or one that follows. */
  packet(i: number, opening: boolean): { readonly frame: Uint8Array; readonly port: number };
}

/** Spreads flows over source and destination ports. */
function flow(i: number, dst: string): Flow {
  return N.flow(N.POD1_IP, 1024 + (i % 32768), dst, 2000 + (i >> 15));
}

const DATA = 10;
/** TCP and its data, at each frame's end. */
const TCP_BYTES = 20 + DATA;

/** An IPv4 packet that makes a frame of 64 bytes. */
function tcp64(flow: Flow, opening: boolean): Uint8Array {
  return N.tcpPacket(flow, opening ? SYN : ACK, new Uint8Array(DATA));
}

const RULES_A_PEER = 20;

/** Pod 1 is isolated: so many rules say which ports it may call at a twentieth as many identities. */
function policed(rules: number, change: Partial<ImageSpec>): Partial<ImageSpec> {
  const base = N.nodeImage();
  const peers = rules / RULES_A_PEER;
  const intervals = (peer: number) =>
    Array.from({ length: RULES_A_PEER }, (_, i) => ({
      protocol: TCP,
      // The last ones hold the backends' ports.
      from: i < RULES_A_PEER - 1 ? 100 + i * 100 : 8080,
      to: i < RULES_A_PEER - 1 ? 149 + i * 100 : 8180,
      allow: true,
      rule: 17 + peer * RULES_A_PEER + i,
    }));
  return {
    ...change,
    ports: base.ports.map((port, i) => (port !== null && i === N.POD1 ? { ...port, egress: 1 } : port)),
    portSets: [
      { intervals: [], allow: false, rule: 16 },
      ...Array.from({ length: peers }, (_, i) => ({ intervals: intervals(i), allow: false, rule: 16 })),
    ],
    policies: [0],
    pairs: Array.from({ length: peers }, (_, i) => ({ policy: 1, identity: 2 + i, portSet: 1 + i })),
  };
}

function scenario(
  name: string,
  outcome: number,
  change: Partial<ImageSpec>,
  packet: Scenario['packet'],
): Scenario {
  return { name, outcome, prepare: (node) => N.start(node, change), packet };
}

/** The frame that `frame` is with the ports of `flow`, and TCP's checksum for these (RFC 1624, equation 3): half a million are soon made so. */
function withPorts(frame: Uint8Array, { sport, dport }: Flow): Uint8Array {
  const bytes = frame.slice();
  const tcp = new DataView(bytes.buffer, bytes.length - TCP_BYTES);
  const complement = (at: number): number => ~tcp.getUint16(at) & 0xffff;
  let sum = complement(16) + complement(0) + sport + complement(2) + dport;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  tcp.setUint16(0, sport);
  tcp.setUint16(2, dport);
  tcp.setUint16(16, ~sum);
  return bytes;
}

/** Frames of flows between the same addresses, of which one is made as any packet is. */
function alike(
  flowOf: (i: number) => Flow,
  port: number,
  frameOf: (packet: Uint8Array) => Uint8Array,
): Scenario['packet'] {
  const [opens, follows] = [frameOf(tcp64(flowOf(0), true)), frameOf(tcp64(flowOf(0), false))];
  return (i, opening) => ({ frame: withPorts(opening ? opens : follows, flowOf(i)), port });
}

const fromPod = (dst: string) =>
  alike(
    (i) => flow(i, dst),
    N.POD1,
    (packet) => N.fromPod(N.POD1, packet),
  );

/** Frontends on 16 ports, so that 500,000 flows have a tuple each. */
function shop(backend: string): Partial<ImageSpec> {
  const frontends = Array.from({ length: 16 }, (_, i) => 2000 + i).map((port) => ({
    ip: N.VIP,
    port,
    protocol: TCP,
  }));
  return {
    services: frontends.map((frontend, i) => ({
      frontends: [frontend],
      backends: [{ ip: backend, port: 8080 + i, id: 1 + i }],
    })),
  };
}

export const scenarios: readonly Scenario[] = [
  scenario('forward', L.OUT_FORWARD_POD, {}, fromPod(N.POD2_IP)),
  scenario('service NAT', L.OUT_FORWARD_POD, shop(N.POD2_IP), fromPod(N.VIP)),
  scenario('source NAT', L.OUT_FORWARD_UPLINK, {}, fromPod(N.OUTSIDE)),
  scenario('VXLAN encap', L.OUT_FORWARD_TUNNEL, {}, fromPod(N.REMOTE_POD_IP)),
  scenario(
    'VXLAN decap',
    L.OUT_FORWARD_POD,
    {},
    alike(
      (i) => N.back(flow(i, N.REMOTE_POD_IP)),
      N.UPLINK,
      (packet) => N.fromTunnel(packet),
    ),
  ),
  full(1000),
];

/** Policy, service NAT, route and VXLAN. */
export function full(rules: number): Scenario {
  const spec = policed(rules, shop(N.REMOTE_POD_IP));
  return { ...scenario('full', L.OUT_FORWARD_TUNNEL, spec, fromPod(N.VIP)), spec };
}
