import { fileURLToPath } from 'node:url';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { loadSync } from '@grpc/proto-loader';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CniReply, CniRequest } from './messages.js';
import { decodeReply, encodeRequest, WireError } from './protobuf.js';

const PROTO = fileURLToPath(new URL('../../../../proto/cni.proto', import.meta.url));

interface Codec {
  readonly encode: (message: object) => Buffer;
  readonly decode: (bytes: Buffer) => object;
}

/** The same messages as the library knows them, from the proto file. */
function codecs(): { readonly request: Codec; readonly reply: Codec } {
  const loaded = loadSync(PROTO, { defaults: true, enums: String });
  const service = loaded['pteropus.cni.RemoteCNI'] as unknown as Record<
    string,
    {
      requestSerialize: Codec['encode'];
      requestDeserialize: Codec['decode'];
      responseSerialize: Codec['encode'];
      responseDeserialize: Codec['decode'];
    }
  >;
  const add = service['Add'];
  if (add === undefined) throw new Error('no such method');
  return {
    request: { encode: add.requestSerialize, decode: add.requestDeserialize },
    reply: { encode: add.responseSerialize, decode: add.responseDeserialize },
  };
}

let seed = 11;
const random = (n: number): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return (seed >>> 8) % n;
};
const text = (): string => ['', 'a', 'ü€😀', 'x'.repeat(random(300))][random(4)] ?? '';

test('requests are what the library reads', () => {
  const { request: codec } = codecs();
  for (let i = 0; i < 200; i++) {
    const request: CniRequest = {
      version: text(),
      containerId: text(),
      networkNamespace: text(),
      interfaceName: text(),
      extraNwConfig: text(),
      extraArguments: text(),
      ipamType: text(),
      ipamData: text(),
    };
    assert.equal(codec.decode(encodeRequest(request)), request);
  }
});

test('replies of the library are read', () => {
  const { reply: codec } = codecs();
  const some = <T>(make: () => T): T[] => Array.from({ length: random(4) }, make);
  for (let i = 0; i < 200; i++) {
    const reply: CniReply = {
      result: random(2) === 0 ? 0 : random(2 ** 24) * 200,
      error: text(),
      interfaces: some(() => ({
        name: text(),
        mac: text(),
        sandbox: text(),
        ipAddresses: some(() => ({
          version: random(2) === 0 ? ('IPV4' as const) : ('IPV6' as const),
          address: text(),
          gateway: text(),
        })),
        mtu: random(70_000),
      })),
      routes: some(() => ({ dst: text(), gw: text() })),
      dns: some(() => ({ domain: text(), nameservers: some(text), search: some(text), options: some(text) })),
    };
    assert.equal(decodeReply(codec.encode(reply)), reply);
  }
});

test('every field of the proto file is one we know', () => {
  const loaded = loadSync(PROTO);
  const fields = (name: string): readonly string[] =>
    (
      (loaded[name] as MessageTypeDefinition<object, object>).type as {
        field: { name: string; number: number }[];
      }
    ).field.map((field) => `${field.number} ${field.name}`);
  assert.equal(fields('pteropus.cni.CNIRequest'), [
    '1 version',
    '2 containerId',
    '3 networkNamespace',
    '4 interfaceName',
    '5 extraNwConfig',
    '6 extraArguments',
    '7 ipamType',
    '8 ipamData',
  ]);
  assert.equal(fields('pteropus.cni.CNIReply'), ['1 result', '2 error', '4 interfaces', '5 routes', '6 dns']);
});

test('unknown fields are skipped, cut messages are refused', () => {
  const { reply: codec } = codecs();
  const good = codec.encode({ result: 7, error: 'no' });
  const unknown = Buffer.from([0xf8, 0x01, 0x05, 0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0xfd, 0x01, 1, 2, 3, 4]);
  assert.is(decodeReply(Buffer.concat([unknown, good])).error, 'no');
  for (let cut = 1; cut < good.length; cut++) {
    try {
      decodeReply(good.subarray(0, cut));
    } catch (error) {
      assert.instance(error, WireError);
    }
  }
  assert.throws(
    () => decodeReply(Buffer.from([0x0b])),
    (e: Error) => e instanceof WireError,
  );
});

test.run();
