/**
 * The format that the pipeline and the control plane share, held to test/golden/layout.json. A change of a value here is a
 * change of format: run with UPDATE_GOLDEN=1 and raise LAYOUT_VERSION.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import { WASM_PATH } from './harness.js';

const GOLDEN = fileURLToPath(new URL('../../../../test/golden/layout.json', import.meta.url));

interface Golden {
  readonly constants: Readonly<Record<string, number>>;
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

interface Described {
  readonly module?: string;
  readonly name: string;
  readonly kind: string;
}

/** Static functions of WebAssembly.Module, which the types at hand leave out. */
const { imports, exports } = WebAssembly.Module as unknown as {
  imports(module: WebAssembly.Module): Described[];
  exports(module: WebAssembly.Module): Described[];
};

async function actual(): Promise<Golden> {
  const compiled = await WebAssembly.compile(readFileSync(WASM_PATH));
  const constants: [string, number][] = Object.entries(L);
  return {
    constants: Object.fromEntries(constants.sort(([a], [b]) => (a < b ? -1 : 1))),
    imports: imports(compiled).map(({ module, name, kind }) => `${module}.${name} ${kind}`),
    exports: exports(compiled)
      .map(({ name, kind }) => `${name} ${kind}`)
      .sort(),
  };
}

test('every layout constant, import and export is as it was', async () => {
  const found = await actual();
  if (process.env['UPDATE_GOLDEN']) writeFileSync(GOLDEN, `${JSON.stringify(found, null, 2)}\n`);
  assert.equal(found, JSON.parse(readFileSync(GOLDEN, 'utf8')));
});

test('regions do not overlap', () => {
  const regions: [string, number, number][] = [
    ['static', L.STATIC_BASE, 0x10000],
    ['control', L.CONTROL_BASE, L.CONTROL_BASE + 0x1000],
    ['vector', L.VECTOR_BASE, L.VECTOR_BASE + L.VECTOR_CAPACITY * L.VECTOR_SIZE],
    ['segments', L.SEGMENTS_BASE, L.SEGMENTS_BASE + L.VECTOR_CAPACITY * 4],
    ['outcomes', L.OUTCOMES_BASE, L.OUTCOMES_BASE + L.OUTCOME_COUNT * 8],
    ['session statistics', L.SESSION_STATS_BASE, L.SESSION_STATS_BASE + 0x100],
    ['buckets', L.BUCKETS_BASE, L.BUCKETS_BASE + L.MAX_PORTS * 2 * L.BUCKET_SIZE],
    ['port counters', L.PORT_COUNTERS_BASE, L.PORT_COUNTERS_BASE + L.MAX_PORTS * L.PORT_COUNTER_SIZE],
    ['trace', L.TRACE_BASE, L.TRACE_BASE + L.TRACE_CAPACITY * L.TRACE_SIZE],
    ['neighbors', L.NEIGHBORS_BASE, L.NEIGHBORS_BASE + L.NEIGHBOR_CAPACITY * L.NEIGHBOR_SIZE],
    ['fragments', L.FRAGMENTS_BASE, L.FRAGMENTS_BASE + L.FRAGMENT_CAPACITY * L.FRAGMENT_SIZE],
    ['tunnels', L.TUNNELS_BASE, L.TUNNELS_BASE + L.TUNNEL_SLOTS * 8],
    ['affinity', L.AFFINITY_BASE, L.AFFINITY_BASE + L.AFFINITY_CAPACITY * L.AFFINITY_SIZE],
    ['rule counters', L.RULE_COUNTERS_BASE, L.RULE_COUNTERS_BASE + L.MAX_RULES * 8],
    ['service counters', L.SERVICE_COUNTERS_BASE, L.SERVICE_COUNTERS_BASE + L.MAX_SERVICES * 16],
    ['images', L.IMAGES_BASE, L.IMAGES_BASE],
  ];
  for (const [i, [name, , end]] of regions.entries()) {
    const next = regions[i + 1];
    if (next !== undefined) assert.ok(end <= next[1], `${name} ends before ${next[0]}`);
  }
});

test.run();
