/** The program as a shell sees it: what it prints where, and its exit codes. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packageVersion } from './common/version.js';

const PROGRAM = fileURLToPath(new URL('../../../bin/pteropus.mjs', import.meta.url));

function pteropus(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('help and version are answers; their absence is wrong usage', () => {
  for (const ask of [['--help'], ['-h'], ['help']]) {
    const { status, stdout, stderr } = pteropus(...ask);
    assert.equal([status, stderr], [0, '']);
    assert.match(stdout, /^usage: pteropus VERB/);
  }
  assert.equal(pteropus('--version'), { status: 0, stdout: `${packageVersion()}\n`, stderr: '' });
  const { status, stderr } = pteropus('bogus');
  assert.is(status, 2);
  assert.match(stderr, /^pteropus: unknown verb "bogus"/);
});

test('help VERB is VERB --help', () => {
  assert.equal(pteropus('help', 'diff'), pteropus('diff', '--help'));
  assert.is(pteropus('help', 'bogus').status, 2);
});

test('who stops reading ends the program, without a stack', () => {
  const manifests = fileURLToPath(new URL('../../../examples/shop', import.meta.url));
  const line = `${process.execPath} ${PROGRAM} matrix -f ${manifests} --json | head -c 1; echo "$PIPESTATUS"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', line], { encoding: 'utf8' });
  assert.equal([stdout, stderr], ['{141\n', '']);
});

test('wrong input is 2, what is not there is 3; and neither shows a stack', () => {
  const wrong = pteropus('explain', '-f', '/nonexistent', '--from', 'a/b', '--to', 'a/c');
  assert.is(wrong.status, 2);
  assert.match(wrong.stderr, /^pteropus explain: .*\n$/);
  const frames = pteropus('dataplane', '--socket', '/nonexistent', '--frames', '1000');
  assert.is(frames.status, 2);
  assert.match(
    frames.stderr,
    /^pteropus dataplane: --frames: must be a power of two, at least 1024 \(got "1000"\)\n/,
  );
  const away = pteropus('vpp', 'messages', '--socket', '/nonexistent');
  assert.is(away.status, 3);
  assert.match(away.stderr, /^pteropus vpp: \/nonexistent: cannot connect.*\n$/);
});

test.run();
