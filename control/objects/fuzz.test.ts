/** The parsers under random damage: real manifests, changed in one or more places, are read or refused by name. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { Random } from '../oracle/random.js';
import { documentOf, InvalidObjectError, isRecord, type RawDocument } from './document.js';
import { fromJson, toJson } from './json.js';
import { parseManifests, parseObject } from './manifest.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const FOLDERS = ['examples/shop', 'examples/tiers', 'examples/protocols', 'test/fixtures'];
const texts: readonly string[] = FOLDERS.flatMap((folder) =>
  readdirSync(ROOT + folder)
    .filter((file) => file.endsWith('.yaml') && file !== 'expect.yaml')
    .map((file) => readFileSync(`${ROOT}${folder}/${file}`, 'utf8')),
);
const documents: readonly RawDocument[] = texts.flatMap((text, i) => [
  ...parseManifests(text, `${i}.yaml`).documents.values(),
]);

const JUNK = [
  ...[null, undefined, 0, -1, 1.5, 65535, 65536, Number.NaN, 1e300, true, false],
  ...[
    '',
    'x',
    '-',
    '80',
    '::',
    '10.0.0.0/33',
    '10.0.0.0/8',
    'fd00::/8',
    '\u0000',
    '__proto__',
    'a'.repeat(300),
  ],
  ...[[], {}, [null], [[]], [{}], { a: 1 }, { constructor: 1 }, JSON.parse('{"__proto__": {"polluted": 1}}')],
];

type Holder = Record<string | number, unknown>;

interface Position {
  readonly holder: Holder;
  readonly key: string;
  readonly path: readonly string[];
}

function places(node: unknown, path: readonly string[] = []): readonly Position[] {
  if (typeof node !== 'object' || node === null) return [];
  const holder = node as Holder;
  return Object.keys(holder).flatMap((key) => {
    const here = [...path, key];
    return [{ holder, key, path: here }, ...places(holder[key], here)];
  });
}

function damage(random: Random, value: unknown): void {
  const all = places(value);
  if (all.length === 0) return;
  const { holder, key } = random.pick(all);
  switch (random.below(5)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
      break;
    case 1:
      holder[key] = structuredClone(random.pick(all).holder);
      break;
    case 2:
      if (!Array.isArray(holder)) holder[`${key}${random.pick(['s', '2', ' ', '__proto__'])}`] = holder[key];
      break;
    case 3:
      if (Array.isArray(holder)) holder.push(structuredClone(holder[key]));
      else holder[key] = [holder[key]];
      break;
    default:
      holder[key] = structuredClone(random.pick(JUNK));
  }
}

const SHAPES = [
  'Namespace',
  'Node',
  'Pod',
  'Service',
  'EndpointSlice',
  'NetworkPolicy',
  'ClusterNetworkPolicy',
];

test('a damaged object is read whole or refused with its name and field', () => {
  const kinds = new Map<string, number>();
  let refused = 0;
  for (let seed = 1; seed <= 8000; seed++) {
    const random = new Random(seed);
    const { value: original, apiVersion, kind } = random.pick(documents);
    const value: unknown = structuredClone(original);
    for (let n = 1 + random.below(3); n > 0; n--) damage(random, value);
    try {
      const object = parseObject({ ...documentOf(value), apiVersion, kind });
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      // What is accepted survives the store.
      assert.equal(fromJson(toJson(object)), object, `seed ${seed}`);
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) {
        assert.unreachable(
          `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}\n${JSON.stringify(value)}`,
        );
      }
      assert.ok(
        (error as InvalidObjectError).object?.startsWith(kind),
        `seed ${seed}: ${(error as Error).message}`,
      );
      assert.type((error as InvalidObjectError).field, 'string', `seed ${seed}: ${(error as Error).message}`);
      refused++;
    }
  }
  assert.is(({} as { polluted?: number }).polluted, undefined);
  assert.ok(refused > 2000 && refused < 7500, `${refused} refused`);
  for (const kind of SHAPES.filter((name) => name !== 'Node')) assert.ok((kinds.get(kind) ?? 0) > 50, kind);
});

/** Keys of these are the user's own. */
const FREE = ['matchLabels', 'labels', 'annotations'];

test('no field of a NetworkPolicy is dropped: one that is not known is refused wherever it stands', () => {
  let tried = 0;
  for (const document of documents.filter(({ kind }) => kind === 'NetworkPolicy')) {
    for (const [at, { holder, key, path }] of places(document.value).entries()) {
      if (path[0] !== 'spec' || !isRecord(holder[key]) || FREE.includes(key)) continue;
      const value: unknown = structuredClone(document.value);
      const place = places(value)[at];
      assert.ok(place);
      (place.holder[key] as Holder)['unheardOf'] = {};
      try {
        parseObject({ ...documentOf(value), apiVersion: document.apiVersion, kind: document.kind });
        assert.unreachable(`${path.join('.')}.unheardOf was dropped`);
      } catch (error) {
        assert.instance(error, InvalidObjectError, path.join('.'));
        assert.match((error as Error).message, /unheardOf: unknown field/);
      }
      tried++;
    }
  }
  assert.ok(tried > 50, `${tried} places`);
});

/** Every text, number and truth value below, in order. */
function leaves(value: unknown): readonly string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(leaves);
  return value === undefined || value === null ? [] : [String(value)];
}

test('no value of a NetworkPolicy is dropped: everything said in its spec is in what is read', () => {
  let checked = 0;
  for (const document of documents.filter(({ kind }) => kind === 'NetworkPolicy')) {
    const said = leaves((document.value as { spec: unknown }).spec);
    const kept = new Set(leaves((parseObject(document) as { spec?: unknown }).spec));
    for (const leaf of said) {
      assert.ok(kept.has(leaf), `${JSON.stringify(document.value)}: ${leaf}`);
      checked++;
    }
  }
  assert.ok(checked > 50, `${checked} values`);
});

test('damaged text is read or refused with its file, never anything else', () => {
  const SNIPPETS = [
    '---',
    ': ',
    '- ',
    '&a ',
    '*a',
    '{',
    '}',
    '[',
    '\t',
    '"',
    '\u0000',
    '<<: *a',
    '!!binary x',
    '|',
    '\r',
    '%YAML',
  ];
  const pieces = texts.flatMap((text) => text.split(/^---$/m)).filter((text) => text.length < 6000);
  let refused = 0;
  for (let seed = 1; seed <= 1000; seed++) {
    const random = new Random(seed);
    let text = random.pick(pieces);
    for (let n = 1 + random.below(4); n > 0; n--) {
      const [from, length] = [random.below(text.length), random.below(20)];
      const piece = random.chance(0.5) ? random.pick(SNIPPETS) : text.slice(from, from + length);
      const at = random.below(text.length);
      text = text.slice(0, at) + piece + text.slice(at + (random.chance(0.5) ? length : 0));
    }
    try {
      parseManifests(text, 'in.yaml');
    } catch (error) {
      if (!(error instanceof InvalidInputError)) {
        assert.unreachable(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}\n${text}`);
      }
      assert.match((error as Error).message, /^in\.yaml:\d+: /, `seed ${seed}`);
      refused++;
    }
  }
  assert.ok(refused > 200 && refused < 950, `${refused} refused`);
});

test.run();
