/** All items taken out, and put in again: VPP holds nothing of ours in between, and afterwards what it held before. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative } from '../../native/index.js';
import * as items from '../backends/items.js';
import { TestNode, Underlay } from '../backends/node.js';
import { openVppRig, type VppRig } from '../backends/vpp-rig.js';
import { onEveryVpp } from './needs.js';

const test = suite('all gone and back on VPP');

/** Interfaces of ours and prefixes that CNAT's rules name, in VPP's own words. */
async function named(rig: VppRig): Promise<readonly string[]> {
  const text = await rig.cli('show cnat snat-policy');
  return text.split(/\r?\n/).filter((line) => /^\s+(host-|loop|DELETED|\d+: )/.test(line));
}

async function allGone(install: VppInstall): Promise<void> {
  let rig: VppRig | null = null;
  const underlay = new Underlay();
  const opened = async (): Promise<VppRig> => {
    rig = await openVppRig(loadNative(), { install });
    return rig;
  };
  const node = await TestNode.open(opened, 1, underlay);
  const vpp = rig as unknown as VppRig;
  try {
    await node.put(...items.peerItems(1, 2));
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const frontends = [{ address: items.nodeAddress(1), port: 30080, type: 'NodePort' } as const];
    const backends = [`${b.address}:80`, `${items.podAddress(2, 1)}:80`];
    await node.put(items.service('web', { scope: 'external', frontends, backends }));
    const all = [...node.items.values()];
    const before = await named(vpp);
    for (let round = 0; round < 3; round++) {
      await node.remove(...[...node.items.keys()]);
      assert.equal(await named(vpp), [], 'nothing is left');
      await node.put(...all);
      assert.is((await named(vpp)).length, before.length);
      assert.is((await vpp.backend.dump()).size, all.length);
      assert.not.match(vpp.lines.join('\n'), 'VPP does not hold');
    }
    assert.is(await a.reaches(b.address, 80), 'b');
    underlay.outside.listen(443, 'outside');
    assert.is(await a.reaches(items.OUTSIDE, 443), 'outside');
  } finally {
    await vpp.close();
  }
}

onEveryVpp(test, 'nothing is left, and all comes back', allGone);

test.run();
