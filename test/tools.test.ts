/** Unpacking what the module proxy serves, without tools of the system. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

type Unzip = (zip: string, folder: string, strip: number, sum: string) => void;

const SCRIPT = fileURLToPath(new URL('../../../scripts/unzip.mjs', import.meta.url));
const { unzip } = (await import(pathToFileURL(SCRIPT).href)) as { readonly unzip: Unzip };

/** A zip file of these (PKWARE APPNOTE 4.3): every second one stored, the others deflated. */
function zipOf(files: readonly (readonly [string, string])[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  files.forEach(([name, text], i) => {
    const contents = Buffer.from(text);
    const data = i % 2 === 0 ? deflateRawSync(contents) : contents;
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50);
    header.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50);
    entry.writeUInt16LE(i % 2 === 0 ? 8 : 0, 10);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(at, 42);
    parts.push(header, Buffer.from(name), data);
    directory.push(entry, Buffer.from(name));
    at += 30 + name.length + data.length;
  });
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** As golang.org/x/mod/sumdb/dirhash has it. */
function sumOf(files: readonly (readonly [string, string])[]): string {
  const sha256 = (text: string) => createHash('sha256').update(text);
  const lines = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  const all = lines.map(([name, text]) => `${sha256(text).digest('hex')}  ${name}\n`).join('');
  return `h1:${sha256(all).digest('base64')}`;
}

const FILES: readonly (readonly [string, string])[] = [
  ['m@v1/bin/go', '#!/bin/sh\n'],
  ['m@v1/src/a.go', 'package a\n'.repeat(1000)],
  ['m@v1/LICENSE', 'free'],
];

function unpacked(files: typeof FILES, sum: string, check: (folder: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-unzip-'));
  try {
    writeFileSync(join(dir, 'm.zip'), zipOf(files));
    unzip(join(dir, 'm.zip'), join(dir, 'out'), 'm@v1/'.length, sum);
    check(join(dir, 'out'));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('files come out as they went in, programs can be run', () => {
  unpacked(FILES, sumOf(FILES), (folder) => {
    assert.is(readFileSync(join(folder, 'src/a.go'), 'utf8'), FILES[1]?.[1]);
    assert.is(readFileSync(join(folder, 'LICENSE'), 'utf8'), 'free');
    assert.is(statSync(join(folder, 'bin/go')).mode & 0o111, 0o111);
    assert.is(statSync(join(folder, 'LICENSE')).mode & 0o111, 0);
  });
});

test('another sum is refused', () => {
  assert.throws(() => unpacked(FILES, 'h1:AAAA', () => undefined), /is not what was expected/);
});

test('a name that leads out of the folder is refused', () => {
  const files = [['m@v1/../../evil', 'x']] as const;
  assert.throws(() => unpacked(files, sumOf(files), () => undefined), /leads out of its folder/);
  assert.is(existsSync(join(tmpdir(), 'evil')), false);
});

test.run();
