// Unpacks a zip file with nothing but Node.js: what the Go module proxy serves. Checks the whole against the checksum that
// Go's own tools use (golang.org/x/mod/sumdb/dirhash, `h1:`).
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { inflateRawSync } from 'node:zlib';

const END = 0x06054b50;
const ENTRY = 0x02014b50;

/** Name and contents of every file, in the order of the zip's directory (PKWARE APPNOTE 4.3; no Zip64). */
function* entries(zip) {
  let end = zip.length - 22;
  while (end >= 0 && zip.readUInt32LE(end) !== END) end--;
  if (end < 0) throw new Error('is no zip file');
  const count = zip.readUInt16LE(end + 10);
  let at = zip.readUInt32LE(end + 16);
  for (let i = 0; i < count; i++) {
    if (zip.readUInt32LE(at) !== ENTRY) throw new Error('is a damaged zip file');
    const method = zip.readUInt16LE(at + 10);
    const size = zip.readUInt32LE(at + 20);
    const [name, extra, comment] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset));
    const header = zip.readUInt32LE(at + 42);
    const start = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28);
    const packed = zip.subarray(start, start + size);
    yield {
      name: zip.toString('utf8', at + 46, at + 46 + name),
      data: () => (method === 0 ? packed : inflateRawSync(packed)),
    };
    at += 46 + name + extra + comment;
  }
}

/** Unpacks `zip` into `folder` without the first `strip` characters of each name. Throws if its `h1:` sum is another. */
export function unzip(zip, folder, strip, sum) {
  const buffer = readFileSync(zip);
  const lines = [];
  for (const { name, data } of entries(buffer)) {
    if (name.endsWith('/')) continue;
    const contents = data();
    lines.push({ name, line: `${createHash('sha256').update(contents).digest('hex')}  ${name}\n` });
    const path = resolve(folder, name.slice(strip));
    if (!path.startsWith(folder + sep)) throw new Error(`${zip}: ${name} leads out of its folder`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
    // Module zips keep no modes.
    if (/^(bin|pkg\/tool)\//.test(name.slice(strip))) chmodSync(path, 0o755);
  }
  lines.sort((a, b) => (a.name < b.name ? -1 : 1));
  const hash = createHash('sha256')
    .update(lines.map(({ line }) => line).join(''))
    .digest('base64');
  if (`h1:${hash}` !== sum) throw new Error(`${zip} is not what was expected: h1:${hash} instead of ${sum}`);
}
