// Builds what changed: TypeScript (build/js), the pipeline (build/dataplane.wasm), the native addon (build/native).
// Plain JavaScript, no packages: it runs before anything is built.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BUILD = join(ROOT, 'build');

/** Runs a tool of node_modules/.bin; its output is shown only when it fails. */
function tool(name, args) {
  const result = spawnSync(process.execPath, [join(ROOT, 'node_modules/.bin', name), ...args], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout}${result.stderr}`);
    throw new Error(`${name} ${args[0] ?? ''} failed`);
  }
}

function filesUnder(dir, keep) {
  return readdirSync(join(ROOT, dir), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && keep.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Runs `make` unless the inputs' contents are those of the last good run. */
function step(name, inputs, output, make) {
  const hash = createHash('sha256');
  for (const file of inputs) hash.update(file).update('\0').update(readFileSync(file)).update('\0');
  const digest = hash.digest('hex');
  const stamp = join(BUILD, `.${name}.stamp`);
  if (existsSync(join(BUILD, output)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  const start = process.hrtime.bigint();
  process.stderr.write(`building ${name} ... `);
  make();
  writeFileSync(stamp, digest);
  process.stderr.write(`${(Number(process.hrtime.bigint() - start) / 1e9).toFixed(1)} s\n`);
}

const SOURCES = { ts: /\.ts$/, json: /^(package|tsconfig)\.json$/ };

export function buildTypeScript() {
  const inputs = ['control', 'native', 'test', 'bench'].flatMap((dir) => filesUnder(dir, SOURCES.ts));
  inputs.push(
    ...filesUnder('dataplane-as', /^layout\.ts$/),
    ...filesUnder('dataplane-as/layout', SOURCES.ts),
  );
  inputs.push(join(ROOT, 'tsconfig.json'));
  step('typescript', inputs, 'js/control/main.js', () => tool('tsc', ['-p', 'tsconfig.json']));
}

export function buildWasm() {
  const inputs = filesUnder('dataplane-as', SOURCES.ts);
  step('dataplane', inputs, 'dataplane.wasm', () => tool('asc', ASC_ARGUMENTS));
}

const ASC_ARGUMENTS = [
  ...['dataplane-as/index.ts', '--outFile', 'build/dataplane.wasm', '--textFile', 'build/dataplane.wat'],
  ...['--optimizeLevel', '3', '--shrinkLevel', '0', '--noAssert', '--runtime', 'stub'],
  ...['--enable', 'simd', '--enable', 'threads', '--enable', 'bulk-memory'],
  // The memory comes from outside; its real size is set when a data plane is opened.
  ...[
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '64',
    '--maximumMemory',
    '65536',
    '--memoryBase',
    '1024',
  ],
];

export function buildNative() {
  const inputs = [join(ROOT, 'CMakeLists.txt'), ...filesUnder('native', /\.(cc|h|txt)$/)];
  step('native', inputs, 'native/pteropus.node', () =>
    tool('cmake-js', ['compile', '--out', 'build/native/cmake']),
  );
}

export function build({ native }) {
  mkdirSync(BUILD, { recursive: true });
  buildWasm();
  buildTypeScript();
  if (native) buildNative();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build({ native: process.platform === 'linux' });
