/** kill -9 of the owner of a cluster on VPP: no VPP runs on, and the next start removes the rest, shared memory too. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanLeftovers } from '../../control/sim/afxdp/leftovers.js';
import { STATE_ROOT } from '../../control/sim/afxdp/names.js';
import { clusterOfSegment } from '../../control/sim/vpp/shared-memory.js';
import { loadNative } from '../../native/index.js';
import { netnsNames, processesWith, until } from '../e2e/support/kernel.js';
import { testIf } from '../support/requires.js';
import { needsVppCluster } from './needs.js';

const HOLD = fileURLToPath(new URL('../e2e/support/hold.js', import.meta.url));
const test = suite('leftovers of VPP');

const segments = (cluster: string): string[] =>
  readdirSync('/dev/shm').filter((file) => clusterOfSegment(file) === cluster);

for (const moment of ['starting', 'started']) {
  testIf(test, ...needsVppCluster())(`a cluster killed when it said "${moment}"`, async () => {
    const cluster = `x-vleft-${moment}-${process.pid}`;
    const child = spawn(process.execPath, [HOLD, cluster, 'node-1', 'node-2'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) if (line === moment) break;
    if (moment === 'started') assert.is(segments(cluster).length, 4, 'two files for each VPP');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await until('every process of the cluster ends', 3000, () =>
      processesWith(cluster).length === 0 ? true : null,
    );
    await cleanLeftovers(loadNative());
    assert.equal(netnsNames(`pteropus-${cluster}-`), []);
    assert.equal(segments(cluster), []);
    assert.not(existsSync(join(STATE_ROOT, cluster)));
  });
}

test.run();
