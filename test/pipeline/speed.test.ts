/**
 * The pipeline must not become slower unseen: on the full path (policy, service NAT, route, VXLAN) it is timed against the same
 * algorithm in C in the same run, after both have left the same bytes. The margin is wide, since CI machines are shared.
 */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { established } from '../../bench/dataplane-run.js';
import { Sides } from '../../bench/dataplane-sides.js';
import { buildAssembly, buildPeer } from '../../bench/peers/build.js';
import { Peer } from '../../bench/peers/peer.js';
import { scenarios } from '../../bench/pipeline-scenarios.js';
import { Harness } from './harness.js';

/** How many times as long as C's we may take. */
const MARGIN = 1.6;
const built = buildPeer();
const scenario = scenarios.at(-1);

if ('missing' in built || scenario === undefined) {
  process.stdout.write(`skipped: ${'missing' in built ? built.missing : 'no scenario'}\n`);
} else {
  test(`at most ${MARGIN} times as slow as C, and byte for byte alike`, async () => {
    const module = await WebAssembly.compile(readFileSync(buildAssembly('stages')));
    const peer = new Peer(built.path);
    try {
      const sides = await Sides.start((options) => new Harness(options), scenario, 1000, module, peer);
      // The first rounds let the compiler finish.
      await established(sides, 20);
      let best = Number.POSITIVE_INFINITY;
      for (let attempt = 0; attempt < 3 && best > MARGIN; attempt++) {
        const { wasm, native } = await established(sides, 20);
        best = Math.min(best, wasm.min / native.min);
      }
      assert.ok(best <= MARGIN, `${best.toFixed(2)} times as slow as the peer in C`);
    } finally {
      peer.close();
    }
  });
}

test.run();
