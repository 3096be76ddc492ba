import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root, testIf } from '../../../test/support/requires.js';
import { startTime } from './owner.js';
import { NodeProcess, NodeProcessError } from './process.js';

const dir = mkdtempSync(join(tmpdir(), 'pteropus-x-process-'));
test.after(() => rmSync(dir, { recursive: true, force: true }));

function nodeProcess(
  script: string,
  log: string,
  onDeath: (reason: string) => void = () => undefined,
): NodeProcess {
  return new NodeProcess({
    name: 'test program',
    netns: '/proc/self/ns/net',
    argv: ['sh', '-c', script],
    log: join(dir, log),
    saysReady: true,
    onDeath,
  });
}

testIf(test, root())('a program that dies is started again and gets ready again', async () => {
  let died: (reason: string) => void = () => undefined;
  const death = new Promise<string>((resolve) => {
    died = resolve;
  });
  const program = nodeProcess(`echo '{"ready":true}'; exec cat`, 'restart.log', (reason) => died(reason));
  await program.start();
  const first = program.pid!;
  process.kill(first, 'SIGKILL');
  assert.is(await death, 'SIGKILL');
  await program.ready();
  assert.is.not(program.pid, first);
  assert.is(program.deaths, 1);
  await program.stop();
  assert.is(startTime(program.pid!), null);
});

testIf(test, root())('a program that does not start says why, with its log', async () => {
  const program = nodeProcess('echo cannot open the thing >&2; exit 3', 'fail.log');
  try {
    await program.start();
    assert.unreachable();
  } catch (error) {
    assert.instance(error, NodeProcessError);
    assert.match((error as Error).message, /code 3.*cannot open the thing/);
  }
  await program.stop();
});

testIf(test, root())('who is told of a death is told what the program said last', async () => {
  let died: (reason: string) => void = () => undefined;
  const death = new Promise<string>((resolve) => {
    died = resolve;
  });
  const program = nodeProcess(
    `echo '{"ready":true}'; echo first >&2; echo no memory left >&2; exit 3`,
    'last.log',
    (reason) => died(reason),
  );
  await program.start();
  assert.is(await death, 'code 3: no memory left');
  await program.stop();
});

testIf(test, root())('what a program prints beside its ready line goes to the log', async () => {
  const program = nodeProcess(`echo hello; echo '{"ready":true}'; exec cat`, 'out.log');
  await program.start();
  await program.stop();
  assert.match(readFileSync(join(dir, 'out.log'), 'utf8'), /hello/);
});

test.run();
