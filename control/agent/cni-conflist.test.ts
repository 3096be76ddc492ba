import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CONFLIST_NAME, conflistText } from '../cni/conflist.js';
import { ConflistKeeper, type ConflistOptions } from './cni-conflist.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-N-'));
const confDir = join(directory, 'net.d');
const path = join(confDir, CONFLIST_NAME);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function keeper(change: Partial<ConflistOptions> = {}): ConflistKeeper {
  const text = conflistText('/run/x.sock');
  return new ConflistKeeper({
    binDir: null,
    confDir,
    text,
    graceMs: 60,
    startGraceMs: 60,
    log: () => undefined,
    ...change,
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !condition(); await pause(5)) assert.ok(Date.now() < end, 'too late');
}

test.before.each(() => rmSync(confDir, { recursive: true, force: true }));

test('the configuration says what the executable and the capabilities are', () => {
  const list = JSON.parse(conflistText('/run/x.sock')) as Record<string, unknown>;
  assert.equal(list, {
    cniVersion: '1.0.0',
    cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    name: 'k8s-pod-network',
    plugins: [
      { type: 'pteropus', capabilities: { portMappings: true, bandwidth: true }, socket: '/run/x.sock' },
    ],
  });
});

test('written when the agent is ready, whole and alone; removed when it is not for a while; written again', async () => {
  const kept = keeper();
  assert.not(existsSync(path));
  kept.follow(true);
  assert.is(readFileSync(path, 'utf8'), conflistText('/run/x.sock'));
  assert.equal(readdirSync(confDir), [CONFLIST_NAME]);
  kept.follow(false);
  assert.ok(existsSync(path), 'a pause does not take it away');
  await until(() => !existsSync(path));
  kept.follow(true);
  assert.ok(existsSync(path));
  kept.follow(false);
  kept.follow(true);
  await pause(120);
  assert.ok(existsSync(path));
  await kept.close();
  assert.ok(existsSync(path), 'the next agent finds it');
});

test('an agent that ends slowly does not take it away', async () => {
  const kept = keeper({ graceMs: 5 });
  kept.follow(true);
  await kept.close();
  kept.follow(false);
  await pause(30);
  assert.ok(existsSync(path));
});

test('a runtime that asks STATUS keeps it, and takes pods away by it', async () => {
  let asks = true;
  mkdirSync(confDir);
  writeFileSync(path, 'old');
  const kept = keeper({ graceMs: 5, startGraceMs: 5, asksStatus: () => asks });
  await pause(30);
  assert.is(readFileSync(path, 'utf8'), 'old', 'an earlier agent’s, while this one starts');
  kept.follow(true);
  kept.follow(false);
  await pause(30);
  assert.is(readFileSync(path, 'utf8'), conflistText('/run/x.sock'));
  asks = false;
  kept.follow(true);
  kept.follow(false);
  await until(() => !existsSync(path));
  await kept.close();
});

test('one that an earlier agent left goes when this one does not become ready', async () => {
  mkdirSync(confDir);
  writeFileSync(path, 'old');
  const kept = keeper();
  await until(() => !existsSync(path));
  await kept.close();
});

test('the executable is there before the configuration, and a directory that cannot be written is tried again', async () => {
  const lines: string[] = [];
  const binDir = join(directory, 'bin');
  writeFileSync(binDir, 'in the way');
  const kept = keeper({ binDir, log: (line) => lines.push(line) });
  kept.follow(true);
  assert.not(existsSync(path));
  assert.match(lines[0] ?? '', /bin\/pteropus: cannot be written/);
  await kept.close();
});

test('what somebody removes or changes is put back', async () => {
  const lines: string[] = [];
  const binDir = join(directory, 'opt');
  const kept = keeper({ binDir, lookMs: 5, log: (line) => lines.push(line) });
  kept.follow(true);
  rmSync(confDir, { recursive: true });
  await until(() => existsSync(path));
  writeFileSync(path, '{}');
  await until(() => readFileSync(path, 'utf8') === conflistText('/run/x.sock'));
  rmSync(join(binDir, 'pteropus'));
  await until(() => existsSync(join(binDir, 'pteropus')));
  assert.is(lines.filter((line) => /putting both back/.test(line)).length, 3);
  assert.equal(kept.problems, []);
  kept.follow(false);
  rmSync(path);
  await pause(30);
  assert.not(existsSync(path), 'not while pods cannot be wired');
  await kept.close();
});

test('what keeps pods from being wired is told: a file that cannot be written, once in the log, and another plugin’s that goes first', async () => {
  const lines: string[] = [];
  const binDir = join(directory, 'mended');
  writeFileSync(binDir, 'in the way');
  const kept = keeper({ binDir, lookMs: 5, log: (line) => lines.push(line) });
  kept.follow(true);
  assert.match(kept.problems.join(), /mended\/pteropus: cannot be written/);
  kept.follow(false);
  kept.follow(true);
  assert.is(lines.length, 1);
  rmSync(binDir);
  kept.follow(false);
  kept.follow(true);
  assert.equal(kept.problems, []);
  for (const name of ['05-other.conflist', '05-other.bak', '20-later.conf'])
    writeFileSync(join(confDir, name), '{}');
  assert.equal(kept.problems, [
    `${join(confDir, '05-other.conflist')} goes before ours: another plugin wires the pods`,
  ]);
  await kept.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
