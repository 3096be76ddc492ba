/** The same node with our data plane: the same Services, rules and routes as items. */
import { openXdpBackend } from '../../control/dataplane/open.js';
import type { Change, Item } from '../../control/ruleset/types.js';
import * as I from '../../test/backends/items.js';
import { ALLOWED, BACKEND_PORT, FRONTEND_PORT, NODE, PEER, RANGES_ALLOWED, SERVICES } from './cases.js';
import { POD_MTU, PODS, type Side, Wires } from './lab.js';

/** The client's pod is isolated and may call what the lists name. */
function items(): Item[] {
  const sets = ALLOWED.map((addresses, n) => I.addressSet(`list${n}`, addresses));
  const ports = RANGES_ALLOWED.map(({ from, to }) => I.port('UDP', from, to));
  const policy = I.policy(
    'client',
    'egress',
    sets.map(({ key }) => I.allow('client', [key], ports)),
  );
  const pods = PODS.flatMap((name, n) => I.podItems(NODE, n + 1, name)).filter(
    ({ key }) => key !== I.endpoint(PODS[0], null, null).key,
  );
  const services = SERVICES.map(({ address, backend }) =>
    I.service(`to-${backend}`, {
      protocol: 'UDP',
      frontends: [{ address, port: FRONTEND_PORT, type: 'ClusterIP' }],
      backends: [`${backend}:${BACKEND_PORT}`],
    }),
  );
  return [
    ...I.nodeItems(NODE),
    ...I.peerItems(NODE, PEER),
    ...pods,
    ...sets,
    policy,
    I.endpoint(PODS[0], null, policy.key),
    ...services,
  ];
}

/** Neighbors are asked for twice a second. */
const SETTLE_MS = 1500;

export async function openDataPlaneSide(name: string, label: string, feed: 'afxdp' | 'tap'): Promise<Side> {
  const wires = new Wires(label, feed === 'tap');
  const { node } = wires.netns;
  const dataplane = await openXdpBackend({
    netns: node.path,
    memory: { frameCount: 16384 },
    log: (line) => process.stderr.write(`${line}\n`),
  });
  node.createVeth({ name: I.hostLink(NODE) }, { name: `${I.hostLink(NODE)}-x` });
  node.setLink(I.hostLink(NODE), { up: true });
  const ends = new Map(PODS.map((name, n) => [I.podKey(name), wires.path(n === 0 ? 'client' : 'server')]));
  const changes = items().map((item): Change => {
    const netns = ends.get(item.key);
    if (item.kind !== 'interface' || netns === undefined) return { type: 'add', key: item.key, item };
    const tap = feed === 'tap' ? { tap: { netns, ifname: 'eth0' } } : {};
    return { type: 'add', key: item.key, item: { ...item, mtu: POD_MTU, ...tap } };
  });
  for (const { key, error } of await dataplane.backend.apply(changes))
    if (error !== null) throw new Error(`${key}: ${error.message}`);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return {
    name,
    wires,
    close: async () => {
      await dataplane.backend.close();
      wires.close();
    },
  };
}
