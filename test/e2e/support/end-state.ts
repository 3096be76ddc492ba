/** What a node has in the end, compared with what a start with nothing would make of the same pods and objects. */
import * as assert from 'uvu/assert';
import type { PodRecord } from '../../../control/agent/journal.js';
import { compile } from '../../../control/compiler/compile.js';
import type { ClusterConfig } from '../../../control/compiler/input.js';
import { HOST, UPLINK } from '../../../control/compiler/interfaces.js';
import { Model } from '../../../control/model/model.js';
import { fromJson } from '../../../control/objects/json.js';
import { canonicalRuleset, rulesetOf } from '../../../control/ruleset/canonical.js';
import type { InterfaceItem, Item, Ruleset } from '../../../control/ruleset/types.js';
import type { SimNode } from '../../../control/sim/afxdp/node.js';
import type { Store } from '../../../control/store/store.js';
import { inNetns, until } from './kernel.js';
import { rest } from './rest.js';

/** Resolves when every agent runs, has `revision` in force, and its data plane has all of it. */
export async function calm(nodes: readonly SimNode[], revision: number, told: string): Promise<void> {
  for (const { paths, agent } of nodes) {
    await until(`${told}: calm`, 20_000, async () => {
      try {
        await agent.ready();
        const { body } = await rest(paths.restSocket, '/status');
        const drift = await rest(paths.restSocket, '/drift');
        return body.ready && body.store.applied >= revision && drift.body.items?.length === 0 ? true : null;
      } catch {
        // It is on its way back.
        return null;
      }
    });
  }
}

/** What the data plane really has, as text that can be compared. */
export async function dumpOf({ paths }: SimNode): Promise<string> {
  return canonicalRuleset(rulesetOf(await backendItems(paths.restSocket)));
}

/**
 * The data plane has what a compiler that starts with nothing makes of the store's objects and of the pods that run here:
 * `running`, name -> addresses, and no others.
 */
export async function assertAsCompiled(
  node: SimNode,
  running: ReadonlyMap<string, readonly string[]>,
  store: Store,
  config: ClusterConfig,
  told: string,
): Promise<void> {
  const where = `${told}: ${node.spec.name}`;
  const { items: records } = (await rest(node.paths.restSocket, '/pods')).body as { items: PodRecord[] };
  assert.equal(
    records.map(({ pod, addresses }) => `${pod.name} ${addresses.join()}`).sort(),
    [...running].map(([name, addresses]) => `${name} ${addresses.join()}`).sort(),
    `${where}: the pods it has wired`,
  );
  const real = rulesetOf(await backendItems(node.paths.restSocket));
  const wanted = await compiled(node, real, records, store, config);
  assert.is(canonicalRuleset(real), canonicalRuleset(wanted), `${where}: what its data plane has`);
}

/** Of pods' links there are as many as pods. */
export function assertLinks({ spec, netns }: SimNode, running: number, told: string): void {
  const links = (JSON.parse(inNetns(netns.replace('/run/netns/', ''), 'ip', '-j', 'link')) as Link[])
    .map(({ ifname }) => ifname)
    .filter((name) => /^pt[0-9a-f]{13}$/.test(name));
  assert.is(links.length, running, `${told}: links of ${spec.name}: ${links.join(' ')}`);
}

interface Link {
  readonly ifname: string;
}

async function backendItems(socket: string): Promise<readonly Item[]> {
  return (await rest(socket, '/backend')).body.items as Item[];
}

async function compiled(
  node: SimNode,
  real: Ruleset,
  records: readonly PodRecord[],
  store: Store,
  config: ClusterConfig,
): Promise<Ruleset> {
  const lists = await Promise.all(['/pteropus/k8s/', '/pteropus/nodes/'].map((prefix) => store.list(prefix)));
  const objects = lists.flatMap(({ entries }) => entries.map(({ key, value }) => fromJson(value, key)));
  const link = (key: string): InterfaceItem => real.get(key) as InterfaceItem;
  const host = link(HOST);
  const local = {
    node: node.spec.name,
    uplink: { link: link(UPLINK).link, mac: link(UPLINK).mac },
    host: { link: host.link, mac: host.mac, peerMac: host.peerMac ?? '' },
    attachments: records.map(({ pod, link: name, mac, podMac, addresses }) => {
      return { pod, link: name, mac, peerMac: podMac, addresses };
    }),
  };
  return compile(Model.of(objects), local, config);
}
