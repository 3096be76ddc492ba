/** Linux as a node: routing, conntrack, Services and source NAT by maps, a VXLAN device; on request the policy as sets. */
import {
  bvi,
  bviMac,
  gateway,
  nodeAddress,
  OUTSIDE,
  podAddress,
  podLink,
  podMac,
  uplinkLink,
} from '../../test/backends/items.js';
import {
  ALLOWED,
  BACKEND_PORT,
  FRONTEND_PORT,
  NODE,
  PEER,
  RANGES_ALLOWED,
  REMOTE_MAC,
  SERVICES,
} from './cases.js';
import { PODS, type Side, Wires } from './lab.js';

/**
 * `steer`: the core that receives for the node (RPS), so that sending and forwarding have a core each, as with a data plane of its own;
 * null: where the packet was sent, which is how a kernel comes.
 */
export function openKernelSide(name: string, label: string, policy: boolean, steer: number | null): Side {
  const wires = new Wires(label);
  const { node } = wires.netns;
  const uplink = uplinkLink(NODE);
  node.setSysctl('net/ipv4/ip_forward', '1');
  for (const of of ['all', 'default', uplink]) node.setSysctl(`net/ipv4/conf/${of}/rp_filter`, '0');
  node.addAddress(uplink, `${nodeAddress(NODE)}/24`);
  node.addNeighbor(uplink, nodeAddress(PEER), REMOTE_MAC);
  node.addNeighbor(uplink, OUTSIDE, REMOTE_MAC);
  node.addRoute({ destination: 'default', link: uplink, gateway: OUTSIDE });
  PODS.forEach((pod, n) => {
    const link = podLink(NODE, pod);
    node.addAddress(link, `${gateway(NODE)}/32`);
    node.addRoute({ destination: `${podAddress(NODE, n + 1)}/32`, link, scope: 'link' });
    node.addNeighbor(link, podAddress(NODE, n + 1), podMac(NODE, n + 1));
  });
  tunnel(wires);
  wires.nft('node', nat(uplink));
  if (policy) wires.nft('node', filter());
  if (steer !== null) steerTo(wires, steer);
  return {
    name,
    wires,
    close: () => {
      wires.close();
      return Promise.resolve();
    },
  };
}

/** As flannel or Calico set one up: no learning, the peer's addresses known. */
function tunnel(wires: Wires): void {
  const ip = (...argv: string[]): string => wires.run('node', 'ip', ...argv);
  const local = nodeAddress(NODE);
  ip(
    'link',
    'add',
    'vx0',
    'address',
    bviMac(NODE),
    'type',
    'vxlan',
    'id',
    '10',
    'dstport',
    '4789',
    'local',
    local,
    'noudpcsum',
    'nolearning',
    'dev',
    uplinkLink(NODE),
  );
  ip('addr', 'add', `${bvi(NODE)}/32`, 'dev', 'vx0');
  ip('link', 'set', 'vx0', 'mtu', '1450', 'up');
  wires.run('node', 'bridge', 'fdb', 'append', bviMac(PEER), 'dev', 'vx0', 'dst', nodeAddress(PEER));
  ip('neigh', 'add', bvi(PEER), 'lladdr', bviMac(PEER), 'dev', 'vx0', 'nud', 'permanent');
  ip('route', 'add', `10.1.${PEER}.0/24`, 'via', bvi(PEER), 'dev', 'vx0', 'onlink');
}

/** A Service is one look-up, as in kube-proxy's nftables mode; source NAT by a fixed address, not masquerade. */
function nat(uplink: string): string {
  const services = SERVICES.map(
    ({ address, backend }) => `${address} . ${FRONTEND_PORT} : ${backend} . ${BACKEND_PORT}`,
  );
  return `table ip nat {
    map services { type ipv4_addr . inet_service : ipv4_addr . inet_service; elements = { ${services.join(', ')} } }
    chain pre { type nat hook prerouting priority dstnat; dnat to ip daddr . udp dport map @services; }
    chain post {
      type nat hook postrouting priority srcnat;
      oifname "${uplink}" ip saddr 10.1.0.0/16 ip daddr != { 10.1.0.0/16, 192.168.16.0/28 } snat to ${nodeAddress(NODE)};
    }
  }
  table ip state { chain forward { type filter hook forward priority filter; ct state invalid drop; }; }`;
}

/** What is established passes; a new connection of the client is looked up in one set of addresses and ranges. */
function filter(): string {
  const elements = ALLOWED.flatMap((addresses) =>
    addresses.flatMap((address) => RANGES_ALLOWED.map(({ from, to }) => `${address} . ${from}-${to}`)),
  );
  return `table ip rules {
    set allowed { type ipv4_addr . inet_service; flags interval; elements = { ${elements.join(', ')} } }
    chain forward {
      type filter hook forward priority filter + 1;
      ct state established,related accept;
      iifname "${podLink(NODE, PODS[0])}" ip daddr . udp dport @allowed accept;
      iifname "${podLink(NODE, PODS[0])}" drop;
    }
  }`;
}

function steerTo(wires: Wires, core: number): void {
  const mask = (1 << core).toString(16);
  for (const link of [...PODS.map((pod) => podLink(NODE, pod)), uplinkLink(NODE)])
    wires.run('node', 'sh', '-c', `echo ${mask} > /sys/class/net/${link}/queues/rx-0/rps_cpus`);
}

/** A node that drops what the client sends. */
export function openSinkSide(name: string, label: string): Side {
  const wires = new Wires(label);
  wires.sinkAtNode();
  return {
    name,
    wires,
    sink: true,
    close: () => {
      wires.close();
      return Promise.resolve();
    },
  };
}
