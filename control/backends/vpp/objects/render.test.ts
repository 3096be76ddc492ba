import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AddressSetItem, Change, Item, Key, PolicyItem, RouteItem } from '../../../ruleset/types.js';
import { Ledger } from '../../ledger.js';
import { DEFAULT_OPTIONS } from '../options.js';
import { RenderError } from './errors.js';
import { Rendering } from './render.js';
import type { Renderer, VppObject } from './types.js';

const set = (name: string, ...addresses: readonly string[]): AddressSetItem => ({
  ...{ kind: 'addressset', key: `addressset/${name}`, addresses, blocks: [] },
});

function policy(name: string, ...sets: readonly string[]): PolicyItem {
  const origin = { kind: 'NetworkPolicy', namespace: 'shop', name, field: null };
  const peers = sets.map((one) => `addressset/${one}`);
  const rules = [{ tier: 'network', action: 'allow', peers, ports: null, origin }] as const;
  return { kind: 'policy', key: `policy/${name}`, direction: 'ingress', rules, isolatedBy: [origin] };
}

const route = (prefix: string): RouteItem => ({
  ...{ kind: 'route', key: `route/main/${prefix}`, vrf: 'main', prefix, target: { type: 'drop' } },
});

/** A list for each policy, of all addresses; one object all routes share; one that lists the prefixes. */
class Model {
  readonly rendered: Key[] = [];
  readonly renderers: readonly Renderer[] = [
    {
      name: 'policies',
      kinds: ['policy'],
      render: (item, view): readonly VppObject[] => {
        this.rendered.push(item.key);
        if (item.kind !== 'policy') return [];
        const addresses = item.rules.flatMap(({ peers }) =>
          (peers ?? []).flatMap((key) => {
            const found = view.get(key);
            return found?.kind === 'addressset' ? found.addresses : [];
          }),
        );
        if (addresses.includes('bad')) throw new RenderError('is bad', item.key);
        if (addresses.includes('worse')) throw new TypeError('no such thing');
        return [{ kind: 'acl', key: `acl/${item.key}`, needs: [], spec: addresses }];
      },
    },
    {
      name: 'routes',
      kinds: ['route'],
      render: (item): readonly VppObject[] => {
        this.rendered.push(item.key);
        if (item.kind !== 'route') return [];
        const shared = item.prefix.startsWith('10.9.') ? 9 : 1;
        return [
          { kind: 'table', key: 'table/main', needs: [], spec: shared },
          { kind: 'route', key: item.key, needs: ['table/main'], spec: item.prefix },
        ];
      },
    },
    {
      name: 'count',
      kinds: ['node'],
      render: (item, view): readonly VppObject[] => {
        this.rendered.push(item.key);
        return [{ kind: 'count', key: 'count', needs: [], spec: view.all('route').length }];
      },
    },
  ];
  readonly ledger = new Ledger();
  readonly rendering = new Rendering(this.renderers, DEFAULT_OPTIONS, this.ledger);

  /** Keys of the objects touched. */
  put(...items: readonly Item[]): readonly string[] {
    return this.apply(items.map((item) => ({ type: 'add', key: item.key, item })));
  }

  remove(...keys: readonly Key[]): readonly string[] {
    return this.apply(keys.map((key) => ({ type: 'remove', key, old: set('unused') })));
  }

  apply(changes: readonly Change[]): readonly string[] {
    this.rendered.length = 0;
    const { touched, failures } = this.rendering.change(changes);
    if (failures.size > 0) {
      this.ledger.rollback();
      throw new Error([...failures].map(([key, error]) => `${key}: ${error.message}`).join('\n'));
    }
    this.ledger.commit();
    return [...touched.keys()].sort();
  }

  spec(key: string): unknown {
    return this.rendering.wanted.get(key)?.spec;
  }
}

const NODE: Item = {
  ...{ kind: 'node', key: 'node', name: 'n', id: 1, addresses: [], podSubnets: [], podCidrs: [] },
};

test('only what asked for a changed item is rendered anew, and only what became different is touched', () => {
  const model = new Model();
  model.put(set('a', '1'), set('b', '2'), policy('x', 'a'), policy('y', 'b'), NODE, route('10.0.0.0/8'));
  assert.equal(model.put(set('a', '3')), ['acl/policy/x']);
  assert.equal(model.rendered, ['policy/x']);
  assert.equal(model.spec('acl/policy/x'), ['3']);
  assert.equal(model.put(set('b', '2')), []);
  assert.equal(model.rendered, []);
  // Who asked for all of a kind is asked again when one comes.
  assert.equal(model.put(route('10.1.0.0/16')), ['count', 'route/main/10.1.0.0/16', 'table/main']);
  assert.is(model.spec('count'), 2);
  // What is no longer asked for is no longer followed.
  model.put(policy('x', 'b'));
  model.put(set('a', '4'));
  assert.equal(model.rendered, []);
});

test('what several items want stays until the last of them goes, and must be the same', () => {
  const model = new Model();
  model.put(route('10.1.0.0/16'), route('10.2.0.0/16'));
  assert.equal(model.rendering.ownersOf('table/main'), ['route/main/10.1.0.0/16', 'route/main/10.2.0.0/16']);
  model.remove('route/main/10.1.0.0/16');
  assert.is(model.spec('table/main'), 1);
  assert.throws(() => model.put(route('10.9.0.0/16')), /route\/main\/10\.9\.0\.0\/16: .*wants another table/);
  assert.is(model.spec('route/main/10.9.0.0/16'), undefined);
  model.remove('route/main/10.2.0.0/16');
  assert.is(model.spec('table/main'), undefined);
  // All at once want it otherwise.
  model.put(route('10.9.0.0/16'), route('10.9.1.0/24'));
  assert.is(model.spec('table/main'), 9);
});

test('the change that makes an item impossible is told, and nothing of the transaction stays', () => {
  const model = new Model();
  model.put(set('a', '1'), policy('x', 'a'));
  assert.throws(() => model.put(set('a', 'bad'), set('c', '1')), /^addressset\/a: policy\/x: is bad$/m);
  assert.equal(model.spec('acl/policy/x'), ['1']);
  assert.is(model.rendering.items.get('addressset/c'), undefined);
  assert.throws(
    () => model.put(set('a', 'worse')),
    /^addressset\/a: a renderer failed: TypeError: no such thing$/m,
  );
  assert.equal(model.put(set('a', '2')), ['acl/policy/x']);
});

test('references that lead nowhere are refused', () => {
  const model = new Model();
  model.put(set('a', '1'), policy('x', 'a'));
  assert.throws(() => model.put(policy('y', 'z')), /^policy\/y: .*not there.*addressset\/z/m);
  assert.throws(() => model.remove('addressset/a'), /^addressset\/a: policy\/x.*not there/m);
  model.remove('addressset/a', 'policy/x');
  assert.is(model.rendering.items.size, 0);
});

test('one change among many thousands is rendered in no time', () => {
  const model = new Model();
  const sets = Array.from({ length: 5000 }, (_, i) => set(`s${i}`, `${i}`));
  const policies = sets.map((_, i) => policy(`p${i}`, `s${i}`));
  const routes = Array.from({ length: 5000 }, (_, i) => route(`10.${i >> 8}.${i & 255}.0/24`));
  const fits = routes.filter(({ prefix }) => !prefix.startsWith('10.9.'));
  model.put(...sets, ...policies, ...fits);
  let fastest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i++) {
    const began = performance.now();
    model.put(set('s77', `again ${i}`), route(`10.200.${i}.0/24`));
    fastest = Math.min(fastest, performance.now() - began);
  }
  assert.ok(fastest < 5, `${fastest} ms`);
});

test.run();
