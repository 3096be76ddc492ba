/** What the limits of services on VPP say is seen there: refusals by name, and what happens instead of what was asked for. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { limitsOf, sentence } from '../../control/backends/vpp/services/limits.js';
import type { Frontend, ServiceItem } from '../../control/ruleset/types.js';
import * as items from './items.js';
import { TestNode, Underlay } from './node.js';
import type { VppRig } from './vpp-rig.js';
import { withRigs } from './with-rigs.js';

const VIP = '10.96.0.10';
const VIP6 = 'fd00:96::a';
const NODE_PORT = 30090;
const frontendAt = (port: number): Frontend => ({ address: VIP, port, type: 'ClusterIP' });

export function limitTests(test: Test, open: () => Promise<VppRig>): void {
  const run = (
    name: string,
    body: (node: TestNode, rig: VppRig, underlay: Underlay) => Promise<void>,
  ): void =>
    test(name, async () => {
      const underlay = new Underlay();
      let rig: VppRig | null = null;
      const opened = async (): Promise<VppRig> => {
        rig = await open();
        return rig;
      };
      await withRigs(opened, async (rigs) => {
        const node = await TestNode.open(rigs, 1, underlay);
        if (rig !== null) await body(node, rig, underlay);
      });
    });

  run('what is not done is named at connect, and refused where an object asks for it', async (node, rig) => {
    const limits = limitsOf(rig.backend.vpp);
    const line = rig.lines.find((text) => text.startsWith('not done by VPP')) ?? '';
    for (const limit of limits) assert.match(line, sentence(limit));
    const b = await node.addPod(1, 'b');
    const c = await node.addPod(2, 'c');
    const backends = [b, c].map(({ address }) => `${address}:80`);
    const asking: readonly ServiceItem[] = [
      items.service('sticky', { frontends: [frontendAt(80)], backends, affinitySeconds: 600 }),
      items.service('sticky6', {
        ...{ frontends: [{ address: VIP6, port: 80, type: 'ClusterIP' }], affinitySeconds: 600 },
        backends: [b, c].map(({ address6 }) => `[${address6}]:80`),
      }),
      items.service('sctp6', {
        ...{ frontends: [{ address: VIP6, port: 81, type: 'ClusterIP' }], protocol: 'SCTP' },
        backends: [b, c].map(({ address6 }) => `[${address6}]:80`),
      }),
      items.service('hashed', { frontends: [frontendAt(81)], backends, algorithm: 'maglev' }),
    ];
    for (const service of asking) {
      const limit = limits.find(
        ({ refused, concerns }) => refused !== undefined && concerns?.(service, null),
      );
      const [result] = await rig.backend.apply([node.change(service)]);
      if (limit?.refused === undefined) assert.is(result?.error, null, service.name);
      else assert.match(result?.error?.message ?? 'not refused', limit.refused);
    }
  });

  run('what is in force but less than asked for says so', async (node, rig, { outside }) => {
    const [a, b, c] = [await node.addPod(1, 'a'), await node.addPod(2, 'b'), await node.addPod(3, 'c')];
    const at = items.nodeAddress(1);
    const backends = [b, c].map(({ address }) => `${address}:80`);
    const frontends = [{ address: at, port: NODE_PORT, type: 'NodePort' } as const];
    const options = { scope: 'external', frontends, backends } as const;
    const told = async (service: ServiceItem): Promise<string> => {
      await node.put(service);
      return (rig.backend.shortfalls?.(service) ?? []).join();
    };
    const ranges = await told(items.service('limits', { ...options, sourceRanges: ['203.0.113.0/24'] }));
    assert.match(ranges, 'source ranges for clients inside: those who come by the uplink are asked');
    await a.reaches(at, NODE_PORT);
    await outside.isSilent(at, NODE_PORT);
    const apart = await told(items.service('limits', { ...options, outsideBackends: [`${c.address}:80`] }));
    assert.match(apart, 'everyone is led to those of the clients outside');
    for (let i = 0; i < 8; i++) assert.is(await a.reaches(at, NODE_PORT), 'c');
    assert.not.match(await told(items.service('limits', options)), 'inside');
  });
}
