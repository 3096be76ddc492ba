import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentChild } from './agent-child.js';

const test = suite('the agent beside VPP');
const dir = mkdtempSync(join(tmpdir(), 'pteropus-agent-child-'));
test.after(() => rmSync(dir, { recursive: true }));

/** A program in place of the agent. */
function program(name: string, text: string): readonly [string, ...string[]] {
  const path = join(dir, name);
  writeFileSync(path, text);
  return [process.execPath, path];
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !holds(); await wait(5)) {
    if (Date.now() > end) throw new Error('it never was so');
  }
}

test('says when it is ready, once; starts again when it dies; ends with us', async () => {
  const argv = program(
    'agent.mjs',
    `console.log('hello'); console.log('{"ready":true}'); process.stdin.resume().on('close', () => process.exit(0));
     process.on('SIGTERM', () => process.exit(0));`,
  );
  const lines: string[] = [];
  let ready = 0;
  const child = AgentChild.start({ argv, ready: () => ready++, log: (line) => lines.push(line) });
  await until(() => ready === 1);
  assert.equal(lines, ['hello']);
  const first = child.pid ?? 0;
  process.kill(first, 'SIGKILL');
  await until(() => lines.filter((line) => line === 'hello').length === 2);
  assert.match(lines[1] ?? '', /the agent ended \(SIGKILL\); it is started again in 100 ms/);
  assert.is(ready, 1);
  const second = child.pid ?? 0;
  assert.is.not(second, first);
  await child.close();
  assert.not(existsSync(`/proc/${second}`));
  await child.close();
});

test('one that cannot be started is tried again, and not after we are asked to end', async () => {
  const lines: string[] = [];
  const argv = [join(dir, 'nothing')] as const;
  const child = AgentChild.start({ argv, ready: () => undefined, log: (line) => lines.push(line) });
  await until(() => lines.length === 2);
  assert.match(lines[0] ?? '', /ENOENT.* 100 ms/);
  assert.match(lines[1] ?? '', /ENOENT.* 200 ms/);
  await child.close();
  await wait(250);
  assert.is(lines.length, 2);
});

test.run();
