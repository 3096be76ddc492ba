/**
 * Makes the recordings in fixtures/: `node build/js/control/backends/vpp/api/testing/record.js SOCKET VERSION`, against a VPP that was
 * just started and has acl, nat, cnat and vxlan. A relay between client and VPP sees the bytes.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorText } from '../../../../common/errors.js';
import type { VppClient } from '../client.js';
import type { MessageCodecs } from '../codec/message.js';
import { Deframer } from '../framing.js';
import { readWelcome } from '../handshake.js';
import { connect } from '../link.js';
import { formatSchema } from '../notation.js';
import { openVppClient } from '../open.js';
import { subsetOf } from '../subset.js';
import { USED_MESSAGES } from '../used.js';
import { fixturePath, formatRecorded } from './recording.js';
import { SCENARIO } from './scenario.js';

interface Frame {
  readonly toVpp: boolean;
  readonly bytes: Buffer;
}

const [vpp, version] = process.argv.slice(2);
if (vpp === undefined || version === undefined) {
  process.stderr.write('usage: record.js SOCKET VERSION\n');
  process.exit(2);
}
const dir = mkdtempSync(join(tmpdir(), 'pteropus-record-'));
const frames: Frame[] = [];
const relay = await startRelay(vpp, join(dir, 'api.sock'), frames);
const client = await openVppClient({ socket: join(dir, 'api.sock'), name: 'record' });
const from = frames.length;
for (const { message, fields } of SCENARIO) {
  const dump = client.codecs.schema.services.get(message)?.details !== undefined;
  try {
    await (dump ? client.dump(message, fields) : client.request(message, fields));
  } catch (error) {
    process.stdout.write(`${errorText(error)}\n`);
  }
}
const lines = describe(frames, from, client);
await client.close();
relay.close();
rmSync(dir, { recursive: true });
const recorded = lines.map((text) => text.split(' ', 2)[1] ?? '');
const names = [...USED_MESSAGES, ...recorded];
writeFileSync(
  fixturePath(`vpp-${version}.schema`),
  formatSchema(subsetOf(client.codecs.schema, names, true)),
);
writeFileSync(fixturePath(`vpp-${version}.recording`), lines.join(''));

function startRelay(target: string, path: string, seen: Frame[]): Promise<Server> {
  const pipe = (a: Socket, b: Socket, toVpp: boolean) => {
    const deframer = new Deframer();
    a.on('data', (chunk: Buffer) => {
      deframer.push(chunk, (bytes, start, end) =>
        seen.push({ toVpp, bytes: Buffer.from(bytes.subarray(start, end)) }),
      );
      b.write(chunk);
    });
    a.on('close', () => b.destroy());
  };
  const server = createServer((ours) => {
    ours.pause();
    connect(target).then(
      (theirs) => {
        pipe(ours, theirs, true);
        pipe(theirs, ours, false);
        ours.resume();
      },
      (error: Error) => ours.destroy(error),
    );
  });
  return new Promise((resolve) => {
    server.listen(path, () => resolve(server));
  });
}

function describe(all: readonly Frame[], start: number, { codecs }: VppClient): string[] {
  const welcome = all.find(({ toVpp }) => !toVpp);
  const names = new Map(
    [...readWelcome(welcome?.bytes ?? Buffer.alloc(0)).messages].map(([name, { id }]) => [id, name]),
  );
  return all.slice(start).map(({ toVpp, bytes }) => line(toVpp, bytes, names, codecs));
}

function line(
  toVpp: boolean,
  bytes: Buffer,
  names: ReadonlyMap<number, string>,
  codecs: MessageCodecs,
): string {
  const name = names.get(bytes.readUInt16BE(0)) ?? '';
  return formatRecorded(toVpp, name, bytes, codecs.get(name).decode(bytes));
}
