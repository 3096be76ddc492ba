import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { rejects } from '../../../../test/support/rejects.js';
import { Random } from '../../../oracle/random.js';
import { StatsBusyError, StatsTornError, StatsVersionError } from './errors.js';
import { BASE, SegmentImage } from './image.js';
import * as S from './layout.js';
import { Stats } from './stats.js';
import { combinedAt, lengthOf, simpleAt } from './values.js';

const test = suite('vpp stats');

function ring(image: SegmentImage, written: number, next: number): bigint {
  const entries = [0, 1, 2].flatMap((i) => [i, i, i, i]);
  const words = [4, 3, 1, 0, 0, 64, 128];
  const bytes = new Uint8Array(128 + entries.length);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word, true);
  view.setUint32(64, next, true);
  view.setBigUint64(72, BigInt(written), true);
  bytes.set(entries, 128);
  return BASE + BigInt(image.block(bytes, 0));
}

function sample(): SegmentImage {
  const image = new SegmentImage();
  image.add('/sys/heartbeat', 'scalar', 7n);
  image.add('/if/names', 'names', image.names(['local0', null, 'host-a']));
  const rx = image.add(
    '/if/rx',
    'combined',
    image.counters(
      [
        [1, 60, 2, 120],
        [10, 600],
      ],
      2,
    ),
  );
  const drops = image.add('/if/drops', 'simple', image.counters([[5, 6, 7], []]));
  image.add('', 'empty', 0n);
  image.add('/interfaces/host-a/rx', 'symlink', (1n << 32n) | BigInt(rx));
  image.add('/interfaces/host-a/drops', 'symlink', (2n << 32n) | BigInt(drops));
  image.add('/astray', 'symlink', (9n << 32n) | 99n);
  image.add('/latency', 'histogram', image.counters([[3, 4, 5]]));
  image.add('/events', 'ring', ring(image, 5, 2));
  image.add('/sys/rate', 'gauge', 12n);
  return image;
}

test('entries of all types are read', async () => {
  const stats = new Stats(sample());
  const read = await stats.read(['*']);
  assert.equal(read.get('/sys/heartbeat'), { type: 'scalar', value: 7 });
  assert.equal(read.get('/sys/rate'), { type: 'scalar', value: 12 });
  assert.equal(read.get('/if/names'), { type: 'names', names: ['local0', null, 'host-a'] });
  assert.equal(combinedAt(read.get('/if/rx'), 0), { packets: 11, bytes: 660 });
  assert.equal(combinedAt(read.get('/if/rx'), 1), { packets: 2, bytes: 120 });
  assert.equal(combinedAt(read.get('/if/rx'), 5), { packets: 0, bytes: 0 });
  assert.is(lengthOf(read.get('/if/rx')), 2);
  assert.is(simpleAt(read.get('/if/drops'), 2), 7);
  assert.equal(combinedAt(read.get('/interfaces/host-a/rx'), 0), { packets: 2, bytes: 120 });
  assert.is(simpleAt(read.get('/interfaces/host-a/drops'), 0), 7);
  assert.not(read.has('/astray'));
  const [bins] = (read.get('/latency') as { threads: readonly BigUint64Array[] }).threads;
  assert.equal([...(bins ?? [])], [3n, 4n, 5n]);
  // Five were written to three slots, the next one goes to slot 2: the oldest left is there.
  const [records] = (read.get('/events') as { threads: readonly (readonly Uint8Array[])[] }).threads;
  assert.equal(
    records?.map(([first]) => first),
    [2, 0, 1],
  );
  assert.is((await stats.names()).length, 10);
});

test('names and beginnings choose; what is not there is left out', async () => {
  const stats = new Stats(sample());
  assert.equal([...(await stats.read(['/if/*', '/nowhere', '/sys/rate'])).keys()].sort(), [
    '/if/drops',
    '/if/names',
    '/if/rx',
    '/sys/rate',
  ]);
  assert.is((await stats.read([])).size, 0);
});

test('the elements of a vector have the names of the symlinks that show them', async () => {
  const image = sample();
  const errors = image.add(
    '/node/errors',
    'simple',
    image.counters([
      [0, 4, 9],
      [0, 1],
    ]),
  );
  for (const [element, name] of ['none', 'too_short', 'beyond'].entries()) {
    const index = BigInt(element === 2 ? 77 : element);
    image.add(`/err/ip4-input/${name}`, 'symlink', (index << 32n) | BigInt(errors));
  }
  const stats = new Stats(image);
  assert.equal(
    [...(await stats.elements('/node/errors'))],
    [
      ['/err/ip4-input/none', 0],
      ['/err/ip4-input/too_short', 5],
      ['/err/ip4-input/beyond', 0],
    ],
  );
  assert.is((await stats.elements('/nowhere')).size, 0);
});

test('a value that changes in its place is seen, and one that moves with a new epoch too', async () => {
  const image = sample();
  const stats = new Stats(image);
  await stats.names();
  image.setValue(0, 8n);
  assert.equal((await stats.read(['/sys/heartbeat'])).get('/sys/heartbeat'), { type: 'scalar', value: 8 });
  image.add('/new', 'scalar', 1n);
  image.header('epoch', 2n);
  assert.is((await stats.read(['/new'])).size, 1);
});

test('what was read while VPP moved things is read again', async () => {
  const image = sample();
  const stats = new Stats(image);
  let copies = 0;
  image.meanwhile = () => {
    copies++;
    // Half-way the directory is a heap of rubble; then it is whole again, under another epoch.
    if (copies === 3) image.header('directory', BASE + 5n);
    if (copies === 6) {
      image.add('/after', 'scalar', 1n);
      image.header('epoch', 2n);
    }
  };
  assert.ok((await stats.read(['*'])).has('/after'));
});

test('waits until VPP has done, and not for ever', async () => {
  const image = sample();
  image.header('inProgress', 1n);
  let copies = 0;
  image.meanwhile = () => {
    if (++copies === 20) image.header('inProgress', 0n);
  };
  assert.ok((await new Stats(image).names()).length > 0);
  image.header('inProgress', 1n);
  await rejects(() => new Stats(image, 5).names(), StatsBusyError);
  image.header('inProgress', 0n);
  image.header('directory', 12n);
  await rejects(() => new Stats(image, 5).names(), StatsTornError);
  image.header('version', 9n);
  await rejects(() => new Stats(image).names(), StatsVersionError);
  await rejects(() => new Stats({ size: 8, copy: () => false }).names(), StatsTornError);
});

test('a broken segment yields values or an error, whatever is broken', async () => {
  const random = new Random(11);
  let [good, bad] = [0, 0];
  for (let i = 0; i < 3000; i++) {
    const image = sample();
    for (let hits = 1 + random.below(4); hits > 0; hits--) {
      const at = random.below(300) * 8;
      const value = random.pick([
        0n,
        1n,
        0xffff_ffffn,
        0xffff_ffff_ffff_ffffn,
        BASE,
        BASE + 60_000n,
        BASE + 8n,
      ]);
      // The version and what VPP says of itself stay: they are tested above.
      if (at === 0 || at === S.HEADER.inProgress * 8) continue;
      image.view.setBigUint64(at, random.chance(0.5) ? value : BigInt(random.below(1 << 30)), true);
    }
    try {
      await new Stats(image, -1).read(['*']);
      good++;
    } catch (error) {
      if (!(error instanceof StatsTornError)) throw error;
      bad++;
    }
  }
  assert.ok(good > 300 && bad > 300, `${good} and ${bad}`);
});

test('a segment that leads in circles is given up', async () => {
  const image = new SegmentImage(1 << 20);
  const long = image.vector(new Uint8Array(1 << 19), 8);
  image.add('/circle', 'simple', image.pointers(Array.from({ length: 2000 }, () => long)));
  await rejects(() => new Stats(image, -1).read(['*']), StatsTornError);
});

test('long vectors are read whole, and one that ends with the segment too', async () => {
  const image = new SegmentImage(1 << 12);
  const counts = Array.from({ length: 100 }, (_, i) => i);
  image.add('/long', 'simple', image.counters([counts]));
  const last = image.add('/last', 'names', 0n);
  const free = image.size - image.used - 64;
  image.block(new Uint8Array(free), 0);
  image.setValue(last, image.pointers([image.vector(Buffer.from('end'), 1)]));
  const read = await new Stats(image).read(['*']);
  assert.is(simpleAt(read.get('/long'), 99), 99);
  assert.equal(read.get('/last'), { type: 'names', names: ['end'] });
});

test.run();
