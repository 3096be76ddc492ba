import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../oracle/random.js';
import { applyChanges } from '../../ruleset/diff.js';
import type { AddressSetItem, Change, Item, Key } from '../../ruleset/types.js';
import { Keep } from './keep.js';

const RUN = { pid: 17, started: 1_700_000_000_000 };

const set = (name: string, ...addresses: readonly string[]): AddressSetItem => ({
  ...{ kind: 'addressset', key: `addressset/${name}`, addresses, blocks: [] },
});

async function withFile(work: (file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pteropus-keep-'));
  try {
    await work(join(folder, 'below', 'items'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Opens a file for writing; an end of it, whatever it says. */
async function writing(file: string, work: (keep: Keep) => Promise<void>): Promise<void> {
  const keep = new Keep(file, RUN);
  try {
    await work(keep);
  } finally {
    await keep.close();
  }
}

test('what was noted is read, after any changes', () =>
  withFile(async (file) => {
    const random = new Random(5);
    let items: ReadonlyMap<Key, Item> = new Map();
    await writing(file, async (keep) => {
      for (let round = 0; round < 300; round++) {
        const name = `${random.below(40)}`;
        const old = items.get(`addressset/${name}`);
        const item = set(name, `10.0.0.${round % 250}`, 'x'.repeat(random.below(20_000)));
        const change: Change =
          old === undefined
            ? { type: 'add', key: item.key, item }
            : random.chance(0.5)
              ? { type: 'remove', key: item.key, old }
              : { type: 'update', key: item.key, item, old };
        items = applyChanges(items, [change]);
        await keep.note([change], [], items.values());
      }
    });
    const { items: found, refused } = await new Keep(file, RUN).load();
    assert.is(refused, null);
    assert.equal([...found].sort(), [...items].sort());
    // Its history does not grow for ever.
    assert.ok(statSync(file).size < 3_000_000);
    assert.not(existsSync(`${file}.new`));
  }));

test('a line that was torn, and all after it, are left out', () =>
  withFile(async (file) => {
    const [a, b, c] = [set('a'), set('b'), set('c')];
    await writing(file, async (keep) => {
      await keep.note([{ type: 'add', key: a.key, item: a }], [], [a]);
      await keep.note([{ type: 'add', key: b.key, item: b }], [], [a, b]);
      await keep.note([{ type: 'add', key: c.key, item: c }], [b.key], [a, c]);
    });
    assert.equal([...(await new Keep(file, RUN).load()).items.keys()], [a.key, c.key]);
    const text = readFileSync(file, 'utf8');
    for (let cut = text.length - 2; cut > 0; cut -= 7) {
      writeFileSync(file, text.slice(0, cut));
      const { items, refused } = await new Keep(file, RUN).load();
      if (refused === null) assert.ok([1, 2].includes(items.size));
      else assert.is(items.size, 0);
    }
    const lines = text.split('\n');
    writeFileSync(file, [lines[0], 'nonsense', lines[2], ''].join('\n'));
    assert.equal([...(await new Keep(file, RUN).load()).items.keys()], [a.key]);
    appendFileSync(file, '\u0000\u0000');
    assert.is((await new Keep(file, RUN).load()).items.size, 1);
  }));

test('a file that cannot be written is said to be, and holds everything once it can', () =>
  withFile(async (file) => {
    const [a, b] = [set('a'), set('b')];
    // A folder stands in its place.
    mkdirSync(`${file}.new`, { recursive: true });
    await writing(file, async (keep) => {
      const results = await Promise.allSettled([
        keep.note([{ type: 'add', key: a.key, item: a }], [], [a]),
        keep.note([{ type: 'add', key: b.key, item: b }], [], [a, b]),
      ]);
      assert.is(results[0].status, 'rejected');
      rmSync(`${file}.new`, { recursive: true });
      await keep.note([], [], [a, b]);
    });
    assert.equal([...(await new Keep(file, RUN).load()).items.keys()], [a.key, b.key]);
  }));

test('another run of VPP is another world; a clock that was set right is not', () =>
  withFile(async (file) => {
    await writing(file, (keep) => keep.note([], [], [set('a')]));
    const load = async (pid: number, started: number): Promise<number> =>
      (await new Keep(file, { pid, started }).load()).items.size;
    assert.is(await load(17, RUN.started + 900), 1);
    assert.is(await load(18, RUN.started), 0);
    assert.is(await load(17, RUN.started + 60_000), 0);
  }));

test.run();
