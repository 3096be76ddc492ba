import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SegmentImage } from '../backends/vpp/stats/image.js';
import { Stats } from '../backends/vpp/stats/stats.js';
import { formatStat, readStats } from './stats.js';

const test = suite('pteropus vpp stats');

function stats(): Stats {
  const image = new SegmentImage();
  image.add('/sys/heartbeat', 'scalar', 7n);
  image.add('/if/names', 'names', image.names(['local0', 'host-a']));
  const rx = image.add('/if/rx', 'combined', image.counters([[0, 0, 2, 120]], 2));
  image.add('/if/drops', 'simple', image.counters([[0, 0]]));
  image.add('/interfaces/host-a/rx', 'symlink', (1n << 32n) | BigInt(rx));
  return new Stats(image);
}

const read = async (pattern: RegExp, all = false): Promise<string[]> =>
  (await readStats(stats(), pattern, all)).map(formatStat);

test('what is not 0 is told, with the interfaces’ names', async () => {
  assert.equal(await read(/./), [
    '/sys/heartbeat 7',
    '/if/rx[1] 2 packets 120 bytes (host-a)',
    '/interfaces/host-a/rx 2 packets 120 bytes',
  ]);
});

test('a pattern chooses, and everything may be asked for', async () => {
  assert.equal(await read(/^\/if\/drops$/), []);
  assert.equal(await read(/^\/if\/drops$/, true), ['/if/drops[0] 0 (local0)', '/if/drops[1] 0 (host-a)']);
});

test.run();
