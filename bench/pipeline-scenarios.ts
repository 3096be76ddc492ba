/** What the pipeline benchmark sends: one packet of each of many flows, and where it must go. */
import * as L from '../dataplane-as/layout.js';
import type { Harness } from '../test/pipeline/harness.js';
import type { ImageSpec } from '../test/pipeline/image.js';
import * as N from '../test/pipeline/node.js';
import { ACK, TCP } from '../test/pipeline/packets.js';

export interface Scenario {
  readonly name: string;
  /** Outcome of every packet. */
  readonly outcome: number;
  prepare(node: Harness): void;
  /** The packet of flow `i`, at most 112 bytes. */
  packet(i: number): { readonly frame: Uint8Array; readonly port: number };
}

/** Spreads flows over source and destination ports. */
function flow(i: number, dst: string, dport?: number): ReturnType<typeof N.flow> {
  return N.flow(N.POD1_IP, 1024 + (i % 32768), dst, dport ?? 2000 + (i >> 15));
}

/** Pod 1 may call what the scenario calls, judged by port and identity. */
function policed(change: Partial<ImageSpec>): Partial<ImageSpec> {
  const base = N.nodeImage();
  return {
    ...change,
    ports: base.ports.map((port, i) => (port !== null && i === N.POD1 ? { ...port, egress: 1 } : port)),
    portSets: [
      { intervals: [], allow: false, rule: 16 },
      { intervals: [{ protocol: TCP, from: 1, to: 65535, allow: true, rule: 17 }], allow: false, rule: 16 },
    ],
    policies: [0],
    pairs: [2, 3].map((identity) => ({ policy: 1, identity, portSet: 1 })),
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

const toPod = (dst: string, dport?: number) => (i: number) => ({
  frame: N.fromPod(N.POD1, N.tcpPacket(flow(i, dst, dport), ACK)),
  port: N.POD1,
});

/** Frontends on ports 2000 and 2001, so that 65,536 flows have a tuple each. */
function shop(backend: string): Partial<ImageSpec> {
  const frontends = [2000, 2001].map((port) => ({ ip: N.VIP, port, protocol: TCP }));
  return {
    services: frontends.map((frontend, i) => ({
      frontends: [frontend],
      backends: [{ ip: backend, port: 8080 + i, id: 1 + i }],
    })),
  };
}

export const scenarios: readonly Scenario[] = [
  scenario('forward', L.OUT_FORWARD_POD, {}, toPod(N.POD2_IP)),
  scenario('service NAT', L.OUT_FORWARD_POD, shop(N.POD2_IP), toPod(N.VIP)),
  scenario('source NAT', L.OUT_FORWARD_UPLINK, {}, (i) => ({
    frame: N.fromPod(N.POD1, N.tcpPacket(flow(i, N.OUTSIDE), ACK)),
    port: N.POD1,
  })),
  scenario('VXLAN encap', L.OUT_FORWARD_TUNNEL, {}, toPod(N.REMOTE_POD_IP)),
  scenario('VXLAN decap', L.OUT_FORWARD_POD, {}, (i) => ({
    frame: N.fromTunnel(N.tcpPacket(N.back(flow(i, N.REMOTE_POD_IP)), ACK)),
    port: N.UPLINK,
  })),
  scenario('full', L.OUT_FORWARD_TUNNEL, policed(shop(N.REMOTE_POD_IP)), toPod(N.VIP)),
];
