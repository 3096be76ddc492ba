import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../../native/index.js';
import { file, root, testIf } from '../../../test/support/requires.js';
import { KeptWorkload } from './kept-workload.js';
import { namespacePath } from './names.js';
import { NotRunningError } from './not-running.js';
import { PROGRAM, WorkloadError } from './workload.js';

const NAME = `pteropus-kept-${process.pid}`;

testIf(
  test,
  root(),
  file(PROGRAM),
)('a process that dies is started again in its sandbox, and answers again', async () => {
  const handle = loadNative().createNetns(NAME);
  const netns = namespacePath(NAME);
  const deaths: string[] = [];
  let died: () => void = () => undefined;
  const server = await KeptWorkload.start(
    { name: 'shop/web', netns, ports: [{ protocol: 'TCP', port: 8080 }] },
    (line) => {
      deaths.push(line);
      died();
    },
  );
  const client = await KeptWorkload.start({ name: 'shop/client', netns, ports: [] }, () => undefined);
  try {
    for (let round = 1; round <= 2; round++) {
      const death = new Promise<void>((resolve) => {
        died = resolve;
      });
      const pid = server.current.pid!;
      process.kill(pid, 'SIGKILL');
      await death;
      assert.throws(
        () => server.current,
        (error: unknown) => error instanceof NotRunningError,
      );
      await server.settled();
      assert.is.not(server.current.pid, pid);
      const { outcome, answer } = await client.current.probe('tcp', '127.0.0.1', 8080, 1000);
      assert.equal([outcome, answer], ['connected', 'shop/web']);
      assert.is(deaths.length, round);
      assert.match(deaths.at(-1) ?? '', /process of shop\/web ended with SIGKILL, starting it again/);
    }
  } finally {
    await Promise.all([server.close(), client.close()]);
    handle.close();
    loadNative().deleteNetns(NAME);
  }
  assert.is(deaths.length, 2, 'an end that was asked for is none');
});

testIf(
  test,
  root(),
  file(PROGRAM),
)('a process that never starts is an error, not a loop', async () => {
  const spec = { name: 'shop/none', netns: '/run/netns/pteropus-there-is-none', ports: [] };
  await KeptWorkload.start(spec, () => undefined).then(
    () => assert.unreachable(),
    (error: unknown) => assert.instance(error, WorkloadError),
  );
});

test.run();
