/** Two pods twice over: joined by the data plane over AF_XDP, and by the kernel's bridge. Same links, same addresses, same MTU. */
import { openXdpBackend, type XdpBackend } from '../control/dataplane/open.js';
import type { Change, Item } from '../control/ruleset/types.js';
import { loadNative, type Native, type Netns } from '../native/index.js';
import {
  gateway,
  gatewayMac,
  nodeItems,
  podAddress,
  podItems,
  podLink,
  podMac,
} from '../test/backends/items.js';

const NODE = 1;
const PODS = ['a', 'b'] as const;
export const MTU = 1450;

export interface Lab {
  readonly label: string;
  /** Names of the pods' namespaces. */
  readonly client: string;
  readonly server: string;
  readonly clientMac: string;
  /** Where the client's packets for the server go first: the gateway, or the server itself. */
  readonly nextHopMac: string;
  setChecksumOffload(on: boolean): void;
  close(): Promise<void>;
}

export const CLIENT = podAddress(NODE, 1);
export const SERVER = podAddress(NODE, 2);

interface Wires {
  readonly native: Native;
  readonly node: Netns;
  readonly pods: readonly Netns[];
  readonly names: readonly string[];
}

function layWires(label: string, tap: boolean, mtu: number): Wires {
  const native = loadNative();
  const names = ['node', ...PODS].map((part) => `pterN-bench-${process.pid}-${label}-${part}`);
  const [node, ...pods] = names.map((name) => native.createNetns(name));
  pods.forEach((pod, n) => {
    const mac = podMac(NODE, n + 1);
    if (tap) pod.createTap('eth0');
    else {
      const link = podLink(NODE, PODS[n]!);
      node!.createVeth({ name: link, mtu }, { name: 'eth0', mtu, netns: pod });
      node!.setLink(link, { up: true });
    }
    pod.setLink('eth0', { mac, mtu, up: true });
    pod.setSysctl('net/ipv6/conf/eth0/disable_ipv6', '1');
  });
  return { native, node: node!, pods, names };
}

function lab(label: string, wires: Wires, nextHopMac: string, end: () => Promise<void>): Lab {
  const { native, node, pods, names } = wires;
  return {
    label,
    client: names[1]!,
    server: names[2]!,
    clientMac: podMac(NODE, 1),
    nextHopMac,
    setChecksumOffload: (on) => {
      for (const pod of pods) pod.setOffloads('eth0', { txChecksum: on, tso: on });
    },
    close: async () => {
      await end();
      for (const netns of [node, ...pods]) netns.close();
      for (const name of names) native.deleteNetns(name);
    },
  };
}

/**
 * Pods as the agent wires them: a /32 address, the gateway on the link, transmit checksums by the sender or, of a TAP, by
 * nobody.
 */
export async function openDataPlaneLab(
  feed: 'afxdp' | 'tap' = 'afxdp',
  mtu = MTU,
  spinMicros?: number,
): Promise<Lab> {
  const wires = layWires(feed === 'tap' ? 'tap' : 'dp', feed === 'tap', mtu);
  const dataplane: XdpBackend = await openXdpBackend({
    netns: wires.node.path,
    memory: { frameCount: 8192 },
    ...(spinMicros === undefined ? {} : { spinMicros }),
    log: (line) => process.stderr.write(`${line}\n`),
  });
  wires.pods.forEach((pod, n) => {
    pod.addAddress('eth0', `${podAddress(NODE, n + 1)}/32`);
    pod.addRoute({ destination: `${gateway(NODE)}/32`, link: 'eth0', scope: 'link' });
    pod.addRoute({ destination: 'default', link: 'eth0', gateway: gateway(NODE) });
    if (feed === 'afxdp') pod.setOffloads('eth0', { txChecksum: false, tso: false });
  });
  // The uplink and the host's end are links of the node that lead nowhere here.
  const items = [...nodeItems(NODE), ...PODS.flatMap((name, n) => podItems(NODE, n + 1, name))];
  for (const item of items) {
    if (item.kind !== 'interface' || item.role === 'pod') continue;
    wires.node.createVeth({ name: item.link }, { name: `${item.link}-x` });
    wires.node.setLink(item.link, { up: true });
  }
  const connected = items.map((item): Item => {
    if (item.kind !== 'interface') return item;
    const pod = (PODS as readonly string[]).indexOf(item.pod?.name ?? '');
    if (pod < 0) return item;
    if (feed === 'afxdp') return { ...item, mtu };
    return { ...item, mtu, tap: { netns: wires.pods[pod]!.path, ifname: 'eth0' } };
  });
  const changes = connected.map((item): Change => ({ type: 'add', key: item.key, item }));
  for (const { key, error } of await dataplane.backend.apply(changes)) {
    if (error !== null) throw new Error(`${key}: ${error.message}`);
  }
  return lab(`data plane, ${feed}`, wires, gatewayMac(NODE), () => dataplane.backend.close());
}

/** The same pods as ports of a bridge; offloads as the kernel sets them. */
export function openBridgeLab(mtu = MTU): Lab {
  const wires = layWires('br', false, mtu);
  wires.node.createBridge('br0', { mtu });
  wires.node.setLink('br0', { up: true });
  wires.pods.forEach((pod, n) => {
    wires.node.setLink(podLink(NODE, PODS[n]!), { master: 'br0' });
    pod.addAddress('eth0', `${podAddress(NODE, n + 1)}/24`);
  });
  return lab('kernel bridge', wires, podMac(NODE, 2), () => Promise.resolve());
}
