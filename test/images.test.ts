/** The image's definition: each file it copies is in the tree, and what it ends up with is enough to run every program. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { packageVersion } from '../control/common/version.js';
import { file, root, testIf } from './support/requires.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FOLDER = join(ROOT, 'k8s/images');
const VERBS = ['agent', 'dataplane', 'ksr', 'cni', 'node'];

interface Instruction {
  readonly name: string;
  readonly words: readonly string[];
}

interface Copy {
  /** Stage it comes from; null = the tree. */
  readonly from: string | null;
  readonly sources: readonly string[];
  readonly target: string;
}

/** Stages of a Dockerfile, each from its FROM on; comments and continued lines are read as Docker reads them. */
function stagesOf(text: string): readonly (readonly Instruction[])[] {
  const lines = text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n');
  const stages: Instruction[][] = [];
  for (const line of lines) {
    const [name, ...words] = line.trim().split(/\s+/);
    if (name === undefined || name === '') continue;
    if (name === 'FROM') stages.push([]);
    stages.at(-1)?.push({ name, words });
  }
  return stages;
}

function copiesOf(stage: readonly Instruction[]): readonly Copy[] {
  return stage
    .filter(({ name }) => name === 'COPY')
    .map(({ words }) => {
      const paths = words.filter((word) => !word.startsWith('--'));
      const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length) ?? null;
      return { from, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' };
    });
}

const [build = [], run = []] = stagesOf(readFileSync(join(FOLDER, 'Dockerfile'), 'utf8'));

test('what is copied from the tree is there, and is not ignored', () => {
  const ignored = readFileSync(join(FOLDER, 'Dockerfile.dockerignore'), 'utf8').trim().split('\n');
  const copies = [...copiesOf(build), ...copiesOf(run).filter(({ from }) => from === null)];
  for (const source of copies.flatMap(({ sources }) => sources)) {
    assert.ok(existsSync(join(ROOT, source)), source);
    assert.not.ok(ignored.includes(source.split('/')[0] ?? ''), `${source} is ignored`);
  }
});

test('what the build reads is copied', () => {
  const copied = copiesOf(build).flatMap(({ sources }) => sources);
  const { include, exclude } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8'));
  const script = readFileSync(join(ROOT, 'scripts/build.mjs'), 'utf8');
  const folders = (include as string[]).map((pattern) => pattern.split('/')[0] ?? '');
  for (const folder of folders) assert.ok(copied.includes(folder) && !exclude.includes(folder), folder);
  for (const name of ['CMakeLists.txt', 'tsconfig.json', 'package.json']) {
    assert.ok(copied.includes(name) && script.includes(name.split('.')[0] ?? ''), name);
  }
});

test('commands that are run are in the tree or in the base images', () => {
  const known = new Set(['apt-get', 'rm', 'find', 'npm', 'node']);
  for (const { words } of [...build, ...run].filter(({ name }) => name === 'RUN')) {
    for (const command of words.join(' ').split('&&')) {
      const [name = '', argument = ''] = command.trim().split(/\s+/);
      assert.ok(known.has(name), name);
      if (name === 'node') assert.ok(existsSync(join(ROOT, argument)), argument);
    }
  }
});

test('the base images are one release of Node.js, which package.json allows, and nobody is root by default', () => {
  const text = readFileSync(join(FOLDER, 'Dockerfile'), 'utf8');
  const version = /^ARG NODE_VERSION=(\d+)\.\d+\.\d+$/m.exec(text)?.[1];
  assert.ok(Number(version) >= 20);
  for (const [from] of [build, run]) assert.match(from?.words[0] ?? '', /^node:\$\{NODE_VERSION\}-bookworm/);
  assert.equal(run.find(({ name }) => name === 'USER')?.words, ['65532:65532']);
  assert.match(text, new RegExp(`-t \\S+:${packageVersion().replaceAll('.', '\\.')} `));
});

testIf(test, file(join(ROOT, 'build/native/pteropus-cni')))('what the image holds runs every program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pteropus-image-'));
  try {
    for (const { from, sources, target } of copiesOf(run)) {
      for (const source of sources) {
        const path = join(ROOT, from === null ? source : source.replace(/^\/src\//, ''));
        const inside = target.endsWith('/') || target === '.';
        const to = join(folder, inside ? join(target, basename(path)) : target);
        mkdirSync(join(to, '..'), { recursive: true });
        // The packages are as they are; all else stands alone.
        if (basename(path) === 'node_modules') symlinkSync(path, to);
        else cpSync(path, to, { recursive: true });
      }
    }
    const program = join(folder, 'bin/pteropus.mjs');
    const pteropus = (...args: readonly string[]) =>
      spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', input: '', timeout: 30_000 });
    for (const verb of VERBS) {
      const { status, stdout, stderr } = pteropus(verb, '--help');
      assert.equal([verb, status, stderr], [verb, 0, '']);
      assert.match(stdout, new RegExp(`usage: pteropus ${verb}`));
    }
    const installed = pteropus('cni', 'install', '--bin-dir', join(folder, 'opt'));
    assert.is(installed.status, 0, installed.stderr);
    const cni = spawnSync(join(folder, 'opt/pteropus'), {
      env: { CNI_COMMAND: 'VERSION' },
      input: '{"cniVersion":"1.0.0"}',
      encoding: 'utf8',
    });
    assert.ok(JSON.parse(cni.stdout).supportedVersions.includes('1.1.0'));
    if (root() !== null) return;
    // It finds its pipeline and its addon, and ends with standard input.
    const data = pteropus('dataplane', '--socket', join(folder, 'dataplane.sock'), '--die-with-stdin');
    assert.match(data.stderr, /listening on/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the manifests start the image that the Dockerfile makes', () => {
  const values = parse(readFileSync(join(ROOT, 'k8s/chart/values.yaml'), 'utf8'));
  const text = readFileSync(join(FOLDER, 'Dockerfile'), 'utf8');
  assert.ok(text.includes(`-t ${values.image.repository}:`));
  const entry = run.find(({ name }) => name === 'ENTRYPOINT')?.words.join(' ') ?? '[]';
  const [command, ...args] = JSON.parse(entry) as string[];
  assert.equal([command, args.pop()], ['node', '/opt/pteropus/bin/pteropus.mjs']);
  // Options of Node.js that this one knows.
  assert.is(spawnSync(process.execPath, [...args, '--version']).status, 0);
});

test.run();
