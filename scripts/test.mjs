// Runs the checks (lint with format, types) and every *.test.ts, each file a plain Node process; prints what was
// skipped and why, and closes with `N passed, N failed, N skipped`.
//   npm test -- [PART OF A PATH ...]   only the files whose path holds one of these
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from './build.mjs';

const JS = join(ROOT, 'build/js');
const FILE_LIMIT_MS = 15 * 60 * 1000;

/** Files that move real packets or measure run alone; the others side by side. */
const ALONE = /^(test\/e2e|native|test\/vpp|test\/backends\/(afxdp|vpp)|control\/sim\/afxdp)/;

/** Files that run others' programs (see tools.mjs) come last and run alone: the programs may still have to be built. */
const WITH_TOOLS = /from '[^']*support\/kubernetes\//;

function needsTools(path) {
  return path.startsWith('test/kubernetes/') || WITH_TOOLS.test(readFileSync(join(JS, path), 'utf8'));
}

function collect(filters) {
  return readdirSync(JS, { recursive: true })
    .map(String)
    .filter((path) => path.endsWith('.test.js'))
    .filter((path) => existsSync(join(ROOT, path.replace(/\.js$/, '.ts'))))
    .filter((path) => filters.length === 0 || filters.some((part) => path.includes(part)))
    .sort();
}

function execute(command, args) {
  return new Promise((resolve) => {
    const start = Date.now();
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk) => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const timer = setTimeout(() => {
      output += `\nstopped: longer than ${FILE_LIMIT_MS / 60000} minutes\n`;
      child.kill('SIGKILL');
    }, FILE_LIMIT_MS);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ ok: code === 0, output, seconds: (Date.now() - start) / 1000 });
    });
  });
}

// uvu colours its summary.
const plain = (text) => text.replace(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '');

function count(output, word) {
  const sum = [...plain(output).matchAll(new RegExp(`^\\s*${word}:\\s+(\\d+)`, 'gm'))];
  return sum.reduce((total, match) => total + Number(match[1]), 0);
}

const totals = { passed: 0, failed: 0, skipped: 0 };

function report(name, { ok, output, seconds }, counts) {
  const { passed, failed, skipped } = counts;
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += skipped;
  const detail = `${passed} passed${skipped > 0 ? `, ${skipped} skipped` : ''}${failed > 0 ? `, ${failed} failed` : ''}`;
  process.stdout.write(
    `${ok && failed === 0 ? 'ok  ' : 'FAIL'} ${name} (${detail}, ${seconds.toFixed(1)} s)\n`,
  );
  for (const line of plain(output).matchAll(/^skipped: .*$/gm)) process.stdout.write(`     ${line[0]}\n`);
  if (!ok || failed > 0) process.stdout.write(`${output.trimEnd()}\n`);
}

async function check(name, command, args) {
  const result = await execute(command, args);
  report(name, result, { passed: result.ok ? 1 : 0, failed: result.ok ? 0 : 1, skipped: 0 });
}

async function runFile(path) {
  const result = await execute(process.execPath, ['--enable-source-maps', join(JS, path)]);
  const total = count(result.output, 'Total');
  const passed = count(result.output, 'Passed');
  const skipped = count(result.output, 'Skipped');
  // A file that broke without a summary is one failure.
  const failed = Math.max(total - passed, result.ok ? 0 : 1);
  report(relative('.', path).replace(/\.js$/, '.ts'), result, { passed, failed, skipped });
}

async function inParallel(files, lanes) {
  const queue = [...files];
  const lane = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) await runFile(file);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** `prepareTools(say)` builds what `needsTools` files run; a failure is told, and those files say themselves what is missing. */
export async function test(filters, prepareTools) {
  const start = Date.now();
  const all = collect(filters);
  const late = all.filter(needsTools);
  const say = (line) => process.stdout.write(`     ${line}\n`);
  const tools = (late.length > 0 ? prepareTools(say) : Promise.resolve()).catch((error) =>
    say(error.message),
  );
  if (filters.length === 0) {
    await check('lint and format', process.execPath, [
      join(ROOT, 'node_modules/.bin/biome'),
      'check',
      '--error-on-warnings',
      '.',
    ]);
    await check('types', process.execPath, [
      join(ROOT, 'node_modules/.bin/tsc'),
      '-p',
      'tsconfig.json',
      '--noEmit',
    ]);
  }
  const files = all.filter((path) => !late.includes(path));
  const bySize = (path) => -statSync(join(JS, path)).size;
  await inParallel(
    files.filter((path) => !ALONE.test(path)).sort((a, b) => bySize(a) - bySize(b)),
    2,
  );
  await inParallel(
    files.filter((path) => ALONE.test(path)),
    1,
  );
  await tools;
  await inParallel(late, 1);
  process.stdout.write(`\n${((Date.now() - start) / 1000).toFixed(0)} s\n`);
  process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
  return totals.failed === 0 && totals.passed > 0 ? 0 : 1;
}
