/** The CNI executable against a table of (environment, standard input) -> (exit code, standard output), with and without an agent. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { serveCni } from '../../control/agent/cni-server.js';
import { Machine, pod } from '../../control/agent/fixtures.js';
import { CNI } from '../../control/cni/codes.js';
import { EXECUTABLE } from '../../control/cni/install.js';
import { DONE } from '../../control/cni/messages.js';
import { file, testIf } from '../support/requires.js';
import { WITH_AGENT } from './agent-cases.js';
import { ALONE, type Case, conf, type Step, step } from './cases.js';
import { type Run, runExecutable } from './executable.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-N-'));
let sockets = 0;
const needed = file(EXECUTABLE);

function withSocket(stdin: unknown, socket: string): unknown {
  return typeof stdin === 'object' && !(stdin instanceof Uint8Array) ? { socket, ...stdin } : stdin;
}

function verify({ name, stdin, code, answer, version }: Case, { exit, stdout }: Run): void {
  const label = `${name}: ${stdout}`;
  assert.is(exit, code === 0 ? 0 : 1, label);
  if (answer === '') {
    assert.is(stdout, '', name);
    return;
  }
  assert.ok(stdout.endsWith('}\n'), label);
  const result = JSON.parse(stdout) as Record<string, unknown>;
  if (!(answer instanceof RegExp)) {
    assert.equal(result, answer, name);
    return;
  }
  const { cniVersion, msg, ...rest } = result;
  assert.equal(rest, { code }, label);
  assert.match(String(msg), answer);
  assert.is(cniVersion, version ?? (stdin as { cniVersion: string }).cniVersion, label);
}

for (const entry of ALONE) {
  testIf(test, needed)(entry.name, async () => verify(entry, await runExecutable(entry.env, entry.stdin)));
}

for (const entry of WITH_AGENT) {
  testIf(test, needed)(entry.name, async () => {
    const machine = new Machine();
    const web = pod('web');
    await machine.put({ ...web, metadata: { ...web.metadata, uid: 'u1' } });
    const agent = await machine.agent();
    const socket = join(directory, `${sockets++}.sock`);
    const server = await serveCni(agent.cni, socket);
    const run = ({ env, stdin }: Step): Promise<Run> => runExecutable(env, withSocket(stdin, socket));
    try {
      for (const earlier of entry.before ?? []) {
        const done = await run(earlier);
        assert.is(done.exit, 0, `${entry.name}: before it: ${done.stdout}`);
      }
      verify(entry, await run(entry));
    } finally {
      await server.close();
      await agent.close();
    }
  });
}

testIf(test, needed)('STATUS while the data plane is lost, and when it is back', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const socket = join(directory, 'status.sock');
  const server = await serveCni(agent.cni, socket);
  const { env, stdin } = step('STATUS', conf('1.1.0', { socket, timeoutMs: 1000 }));
  machine.dataplane.reachable = false;
  machine.dataplane.crash();
  await machine.until(({ ready }) => !ready);
  const { exit, stdout } = await runExecutable(env, stdin);
  assert.equal([exit, (JSON.parse(stdout) as { code: number }).code], [1, CNI.limited]);
  machine.dataplane.reachable = true;
  await agent.resync('downstream');
  assert.equal(await runExecutable(env, stdin), { exit: 0, stdout: '' });
  await server.close();
  await agent.close();
});

testIf(test, needed)('STATUS waits for an agent that is being replaced', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const socket = join(directory, 'replaced.sock');
  const { env, stdin } = step('STATUS', conf('1.1.0', { socket }));
  const asked = runExecutable(env, stdin);
  const early = await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 200, 'waits'))]);
  assert.is(early, 'waits');
  const server = await serveCni(agent.cni, socket);
  assert.equal(await asked, { exit: 0, stdout: '' });
  machine.dataplane.reachable = false;
  machine.dataplane.crash();
  await machine.until(({ ready }) => !ready);
  const again = runExecutable(env, stdin);
  machine.dataplane.reachable = true;
  await agent.resync('downstream');
  assert.equal(await again, { exit: 0, stdout: '' }, 'and for its data plane');
  await server.close();
  await agent.close();
});

testIf(test, needed)(
  'an agent that does not answer in time, one that dies, and something else on the socket',
  async () => {
    const never = (): Promise<typeof DONE> => new Promise(() => undefined);
    const socket = join(directory, 'never.sock');
    const mute = { add: never, delete: never, check: never, status: never, gc: never };
    const server = await serveCni(mute, socket);
    const answer = async (command: string, change: object): Promise<readonly [unknown, string]> => {
      const { env, stdin } = step(command, conf('1.1.0', { socket, ...change }));
      const { exit, stdout } = await runExecutable(env, stdin);
      assert.is(exit, 1);
      const { code, msg } = JSON.parse(stdout) as { code: number; msg: string };
      return [code, msg];
    };
    const slow = await answer('ADD', { timeoutMs: 100 });
    assert.is(slow[0], CNI.tryAgainLater);
    assert.match(slow[1], /did not answer within 100 ms|Deadline exceeded/);
    assert.is((await answer('STATUS', { timeoutMs: 50 }))[0], CNI.unavailable);
    const dying = answer('ADD', {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.close();
    const [code, msg] = await dying;
    assert.is(code, CNI.tryAgainLater);
    assert.match(msg, /ended before its answer|cut off|refuses the call|takes no more calls/);
    for (const text of ['HTTP/1.1 400 Bad Request\r\n\r\n', '', '\0\0\x12\x04\0\0\0\0\0']) {
      const connections: Socket[] = [];
      const rude = createServer((connection) => {
        connections.push(connection);
        connection.on('error', () => undefined).write(text, () => connection.end());
      });
      const path = join(directory, 'rude.sock');
      await new Promise<void>((resolve) => rude.listen(path, resolve));
      assert.is((await answer('ADD', { socket: path }))[0], CNI.tryAgainLater);
      for (const connection of connections) connection.destroy();
      await new Promise((resolve) => rude.close(resolve));
    }
  },
);

testIf(test, needed)('a configuration beyond the window of HTTP/2 arrives whole', async () => {
  let seen = 0;
  const count = (request: { readonly conf: { readonly validAttachments: ReadonlySet<string> | null } }) => {
    seen = request.conf.validAttachments?.size ?? 0;
    return Promise.resolve(DONE);
  };
  const none = (): Promise<typeof DONE> => Promise.resolve(DONE);
  const socket = join(directory, 'large.sock');
  const server = await serveCni({ add: none, delete: none, check: none, status: none, gc: count }, socket);
  const list = Array.from({ length: 20_000 }, (_, i) => ({
    containerID: `c${i}-`.padEnd(64, '0'),
    ifname: 'eth0',
  }));
  const { env, stdin } = step('GC', conf('1.1.0', { socket, 'cni.dev/valid-attachments': list }));
  assert.ok(JSON.stringify(stdin).length > 1_500_000);
  assert.equal(await runExecutable(env, stdin), { exit: 0, stdout: '' });
  assert.is(seen, 20_000);
  await server.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
