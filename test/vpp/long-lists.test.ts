/** A long list that pods share changes while VPP forwards: made anew beside the old one, gone over to, and the old one is gone. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LONGEST_REPLACED } from '../../control/backends/vpp/policies/policy-acl.js';
import type { PolicyRule } from '../../control/ruleset/types.js';
import { loadNative } from '../../native/index.js';
import * as items from '../backends/items.js';
import { type Host, TestNode } from '../backends/node.js';
import { openVppRig, type VppRig } from '../backends/vpp-rig.js';
import { onEveryVpp } from './needs.js';

const PODS = 4;
const MEMBERS = 3 * LONGEST_REPLACED;

const test = suite('long lists on VPP');

onEveryVpp(test, 'a member more of a large set that pods share', async (install) => {
  let rig: VppRig | null = null;
  const node = await TestNode.open(async () => {
    rig = await openVppRig(loadNative(), { install });
    return rig;
  });
  const opened = rig as unknown as VppRig;
  try {
    const client = await node.addPod(1, 'client');
    const pods: Host[] = [];
    for (let i = 0; i < PODS; i++) pods.push(await node.addPod(i + 2, `p${i}`));
    const strangers = Array.from({ length: MEMBERS }, (_, i) => `10.9.${i >> 7}.${(i & 127) * 2}`);
    const members = (...more: readonly string[]) => items.addressSet('large', [...strangers, ...more].sort());
    const rule: PolicyRule = items.allow('web', ['addressset/large'], [items.port('TCP', 80)]);
    await node.put(
      members(),
      items.policy('web', 'ingress', [rule]),
      ...pods.map((_, i) => items.endpoint(`p${i}`, 'policy/web', null)),
    );
    for (const pod of pods) await client.isSilent(pod.address, 80);
    await node.put(members(client.address));
    for (const [i, pod] of pods.entries()) assert.is(await client.reaches(pod.address, 80), `p${i}`);
    const lists = await opened.cli('show acl-plugin acl');
    assert.is(lists.match(/pteropus policy\/web/g)?.length, 1, 'the old list is gone');
    await node.put(items.addressSet('large', [client.address]));
    for (const [i, pod] of pods.entries()) assert.is(await client.reaches(pod.address, 80), `p${i}`);
    assert.match(
      await opened.cli('show acl-plugin acl'),
      '{pteropus policy/web}',
      'a short one keeps its name',
    );
    await node.put(members());
    for (const pod of pods) await client.isSilent(pod.address, 80);
  } finally {
    await opened.close();
  }
});

test.run();
