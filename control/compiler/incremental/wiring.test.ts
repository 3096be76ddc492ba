import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../../model/model.js';
import type { NodeRecord } from '../../objects/types.js';
import { Random } from '../../oracle/random.js';
import { diffRulesets } from '../../ruleset/diff.js';
import { compile } from '../compile.js';
import { type Attachment, DEFAULT_CONFIG, type NodeLocal } from '../input.js';
import { IncrementalCompiler } from './compiler.js';

const MAC = '02:00:00:00:01:00';

function record(id: number): NodeRecord {
  const metadata = { name: `n${id}`, namespace: null, uid: null, labels: {}, annotations: {} };
  return { kind: 'NodeRecord', metadata, id, addresses: [`192.168.16.${id}`] };
}

function attachment(name: string, addresses: readonly string[]): Attachment {
  return { pod: { namespace: 'a', name }, link: name, mac: MAC, peerMac: MAC, addresses };
}

function localOf(attachments: readonly Attachment[]): NodeLocal {
  return { node: 'n1', uplink: { link: 'eth0', mac: MAC }, host: null, attachments };
}

test('pods that share an address or a name are wired as from scratch, whatever came before', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const known = random.times(12, () => {
      const addresses = random.times(1 + random.below(2), () => `10.1.1.${2 + random.below(5)}`);
      return attachment(`p${random.below(6)}`, addresses);
    });
    const model = Model.of([record(1), record(2)]);
    const compiler = new IncrementalCompiler(model, localOf([]), DEFAULT_CONFIG);
    let attachments: readonly Attachment[] = [];
    for (let step = 0; step < 25; step++) {
      const left = attachments.filter(() => random.chance(0.8));
      const at = random.below(left.length + 1);
      attachments = [...left.slice(0, at), random.pick(known), ...left.slice(at)];
      if (random.chance(0.2)) attachments = attachments.toReversed();
      const local = localOf(attachments);
      const events = random.chance(0.1)
        ? [{ type: 'put', object: record(3 + random.below(2)) } as const]
        : [];
      compiler.apply(events, local);
      const wrong = diffRulesets(compiler.ruleset, compile(model, local, DEFAULT_CONFIG));
      assert.equal(wrong, [], `seed ${seed}, step ${step}`);
    }
  }
});

test.run();
