/** One kind of an API that misbehaves in every way it may. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../../test/support/eventually.js';
import type { KubeApi, WatchEnd, WatchEvent } from './api.js';
import { ApiRequestError } from './errors.js';
import { reduce } from './reduce.js';
import { Reflector } from './reflector.js';
import { RESOURCES, type Resource } from './resources.js';

interface OpenWatch {
  readonly version: string;
  readonly event: (event: WatchEvent) => void;
  readonly end: (end: WatchEnd) => void;
}

/** An API whose listings and watches the test plays. */
class FakeApi implements Pick<KubeApi, 'list' | 'watch' | 'version'> {
  /** Of the objects as they are now. */
  now = '1000';
  /** Answers of the next listings: names and version, or a failure. */
  readonly listings: ({ readonly names: readonly string[]; readonly version: string } | Error)[] = [];
  readonly calls: string[] = [];
  open: OpenWatch | null = null;
  /** What the next watches fail with before they are open. */
  readonly refusals: Error[] = [];
  #wake: (() => void)[] = [];

  async list(_: Resource, page: (items: readonly unknown[]) => void): Promise<string> {
    this.#called('list');
    const next = this.listings.shift();
    if (next === undefined) throw new ApiRequestError('away', 'fake', null);
    if (next instanceof Error) throw next;
    page(next.names.map(object));
    return next.version;
  }

  version(): Promise<string> {
    return Promise.resolve(this.now);
  }

  watch(_: Resource, version: string, event: OpenWatch['event'], end: OpenWatch['end']): { close(): void } {
    this.open = { version, event, end };
    this.#called(`watch ${version}`);
    const refusal = this.refusals.shift();
    if (refusal === undefined) event({ type: 'opened' });
    else setImmediate(() => end({ type: 'failed', error: refusal }));
    return { close: () => this.#called('close') };
  }

  async until(call: string): Promise<OpenWatch> {
    while (this.calls.at(-1) !== call) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.open as OpenWatch;
  }

  #called(call: string): void {
    this.calls.push(call);
    for (const wake of this.#wake.splice(0)) setImmediate(wake);
  }
}

const object = (name: string): object => ({ metadata: { name } });

function rig(kind: string): {
  readonly api: FakeApi;
  readonly told: string[];
  readonly reflector: Reflector;
} {
  const api = new FakeApi();
  const told: string[] = [];
  const resource = RESOURCES.find((one) => one.kind === kind);
  if (resource === undefined) throw new Error(kind);
  const handler = {
    reduce: (value: unknown) => reduce(resource, value, []),
    replace: (objects: readonly { readonly reference: { readonly name: string } }[]) =>
      told.push(`=${objects.map(({ reference }) => reference.name).join()}`),
    put: ({ reference }: { readonly reference: { readonly name: string } }) =>
      told.push(`+${reference.name}`),
    removed: ({ name }: { readonly name: string }) => told.push(`-${name}`),
    gap: () => told.push('gap'),
    trouble: (reason: string | null) => {
      if (reason !== null) told.push(`trouble ${reason}`);
    },
  };
  const reflector = new Reflector(api, resource, handler, { lookAgainMs: 5 });
  return { api, told, reflector };
}

async function scenario(
  kind: string,
  play: (api: FakeApi, told: string[]) => Promise<void>,
  ...listings: FakeApi['listings']
): Promise<readonly string[]> {
  const { api, told, reflector } = rig(kind);
  api.listings.push(...listings);
  const running = reflector.run();
  await play(api, told);
  reflector.close();
  await running;
  return told;
}

test('a listing, then changes; a watch that ends goes on where it was, bookmarks included', async () => {
  const told = await scenario(
    'Namespace',
    async (api) => {
      const first = await api.until('watch 5');
      first.event({ type: 'put', object: object('b'), version: '6' });
      first.event({ type: 'delete', object: object('a'), version: '7' });
      first.event({ type: 'bookmark', version: '9' });
      first.end({ type: 'closed' });
      const second = await api.until('watch 9');
      second.event({ type: 'put', object: {}, version: '10' });
      second.end({ type: 'failed', error: new ApiRequestError('reset', 'fake', null) });
      await api.until('watch 10');
    },
    { names: ['a'], version: '5' },
  );
  assert.equal(told, ['=a', '+b', '-a', 'trouble Namespace: fake: reset']);
});

test('410 Gone, as the end of a watch or as an error of it: listed anew', async () => {
  const told = await scenario(
    'Namespace',
    async (api) => {
      (await api.until('watch 5')).end({ type: 'gone' });
      (await api.until('watch 8')).end({
        type: 'failed',
        error: new ApiRequestError('expired', 'fake', 410),
      });
      await api.until('watch 9');
    },
    { names: ['a'], version: '5' },
    { names: ['b'], version: '8' },
    { names: [], version: '9' },
  );
  assert.equal(told, ['=a', 'gap', '=b', 'trouble Namespace: fake: expired', '=']);
});

test('an API that was away is listed anew: it may have been restored from a copy', async () => {
  const told = await scenario(
    'Namespace',
    async (api) => {
      const first = await api.until('watch 50');
      api.refusals.push(new ApiRequestError('refused', 'fake', null));
      first.end({ type: 'failed', error: new ApiRequestError('reset', 'fake', null) });
      await api.until('watch 8');
    },
    { names: ['a', 'b'], version: '50' },
    { names: ['a'], version: '8' },
  );
  assert.equal(told, [
    '=a,b',
    'trouble Namespace: fake: reset',
    'gap',
    'trouble Namespace: fake: refused',
    '=a',
  ]);
});

test('a connection that broke: the watch goes on, unless the API has an earlier version than it had', async () => {
  const broken = new ApiRequestError('reset', 'fake', null);
  const told = await scenario(
    'Namespace',
    async (api) => {
      (await api.until('watch 50')).event({ type: 'put', object: object('c'), version: '90' });
      api.open?.end({ type: 'failed', error: broken });
      api.now = '90';
      const again = await api.until('watch 90');
      api.now = '89';
      again.end({ type: 'failed', error: broken });
      await api.until('watch 9');
    },
    { names: ['a', 'b'], version: '50' },
    { names: ['a'], version: '9' },
  );
  const trouble = 'trouble Namespace: fake: reset';
  assert.equal(told, ['=a,b', '+c', trouble, trouble, 'gap', '=a']);
});

test('an API that is away: asked again and again; nothing is taken for empty', async () => {
  const told = await scenario(
    'Namespace',
    async (api) => {
      await api.until('watch 5');
    },
    new ApiRequestError('refused', 'fake', null),
    new ApiRequestError('not yours', 'fake', 403),
    new ApiRequestError('not found', 'fake', 404),
    { names: ['a'], version: '5' },
  );
  assert.equal(told.at(-1), '=a');
  assert.is(told.filter((line) => line.startsWith('=')).length, 1);
  assert.is(told.length, 4);
});

test('a custom resource that is not there is empty, and found when it comes; gone, it is empty again', async () => {
  const absent = new ApiRequestError('not found', 'fake', 404);
  const told = await scenario(
    'ClusterNetworkPolicy',
    async (api, lines) => {
      (await api.until('watch 5')).end({ type: 'failed', error: absent });
      await eventually('three empty listings', () => lines.filter((line) => line === '=').length >= 3);
    },
    absent,
    absent,
    { names: ['a'], version: '5' },
    absent,
  );
  assert.equal(
    told.filter((line) => line.startsWith('=')),
    ['=', '=', '=a', '='],
  );
});

test('closed in the middle of anything, it ends', async () => {
  for (const at of ['watch 5', 'list']) {
    const { api, reflector } = rig('Namespace');
    if (at !== 'list') api.listings.push({ names: [], version: '5' });
    const running = reflector.run();
    await api.until(at);
    reflector.close();
    await running;
  }
});

test.run();
