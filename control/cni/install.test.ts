import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageError } from '../common/command-line.js';
import { conflistText } from './conflist.js';
import {
  InstallError,
  installConflist,
  installExecutable,
  removeConflist,
  removeExecutable,
} from './install.js';
import { run } from './main.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-N-'));
const bin = join(directory, 'bin');
const conf = join(directory, 'net.d');
const source = join(directory, 'built');

test.before.each(() => {
  for (const path of [bin, conf]) rmSync(path, { recursive: true, force: true });
  writeFileSync(source, 'program');
});

test('the executable is put in place whole, over an older one, and may be run', () => {
  const path = installExecutable(bin, source);
  assert.is(path, join(bin, 'pteropus'));
  writeFileSync(source, 'newer program');
  const old = statSync(path).ino;
  installExecutable(bin, source);
  assert.is(readFileSync(path, 'utf8'), 'newer program');
  assert.is.not(statSync(path).ino, old, 'a new file: who runs the old one keeps it');
  assert.is(statSync(path).mode & 0o777, 0o755);
  assert.equal(readdirSync(bin).sort(), ['loopback', 'pteropus']);
});

test('everybody may read what is there and run it, whatever the umask', () => {
  const old = process.umask(0o077);
  try {
    assert.is(statSync(installExecutable(bin, source)).mode & 0o777, 0o755);
    assert.is(statSync(installConflist(conf, conflistText('/run/x.sock'))).mode & 0o777, 0o644);
  } finally {
    process.umask(old);
  }
});

test('what cannot be written leaves what was there', () => {
  installExecutable(bin, source);
  assert.throws(
    () => installExecutable(bin, join(directory, 'not-built')),
    (error: unknown) => error instanceof InstallError,
  );
  assert.is(readFileSync(join(bin, 'pteropus'), 'utf8'), 'program');
  assert.equal(readdirSync(bin).sort(), ['loopback', 'pteropus']);
});

test('a loopback plugin that is there stays, and is not taken away with ours', () => {
  mkdirSync(bin);
  const other = join(bin, 'loopback');
  writeFileSync(other, 'of another package');
  installExecutable(bin, source);
  assert.is(readFileSync(other, 'utf8'), 'of another package');
  removeExecutable(bin);
  assert.equal(readdirSync(bin), ['loopback']);
  rmSync(other);
  installExecutable(bin, source);
  assert.is(readFileSync(other, 'utf8'), 'program', 'where there is none, ours is it');
  removeExecutable(bin);
  assert.equal(readdirSync(bin), []);
});

test('removed twice is fine, and where nothing ever was', () => {
  installExecutable(bin, source);
  installConflist(conf, conflistText('/run/x.sock'));
  for (let i = 0; i < 2; i++) {
    removeConflist(conf);
    removeExecutable(bin);
  }
  assert.equal([readdirSync(bin), readdirSync(conf)], [[], []]);
  removeConflist(join(directory, 'never'));
});

test('the verb: wrong usage changes nothing', async () => {
  for (const argv of [[], ['mend'], ['install', '--bin'], ['install', 'x']]) {
    const error: unknown = await run(argv).catch((thrown: unknown) => thrown);
    assert.instance(error, UsageError, argv.join(' '));
  }
  assert.equal([existsSync(bin), existsSync(conf)], [false, false]);
  installConflist(conf, conflistText('/run/x.sock'));
  installExecutable(bin, source);
  assert.is(await run(['uninstall', '--bin-dir', bin, '--conf-dir', conf]), 0);
  assert.not(existsSync(join(bin, 'pteropus')));
  assert.equal(readdirSync(conf), []);
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
