/** The backend behind its socket behaves as the backend itself: the transactions' part of the suite, over the memory feed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { openRemoteBackend } from '../../control/backends/wasm/remote.js';
import { serve } from '../../control/dataplane/server.js';
import { openMemoryRig } from './memory-rig.js';
import { transactionTests } from './suite-transactions.js';

const test = suite('remote transactions');

transactionTests(test, async () => {
  const rig = await openMemoryRig();
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-remote-'));
  const path = join(dir, 'dataplane.sock');
  const server = await serve(path, rig.backend, () => ({ pid: process.pid, restarts: 0 }));
  const backend = await openRemoteBackend(path);
  return {
    ...rig,
    backend,
    close: async () => {
      await backend.close();
      await server.close();
      await rig.close();
      rmSync(dir, { recursive: true });
    },
  };
});

test.run();
