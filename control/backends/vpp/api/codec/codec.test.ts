/** The codec against bytes of a real VPP, against itself over random values, and against bytes that were spoiled. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatIp, parseIp } from '../../../../common/ip.js';
import type { Fields, Value } from '../api.js';
import { DecodeError, EncodeError, MissingMessageError } from '../errors.js';
import { toJson } from '../json.js';
import { parseSchema } from '../notation.js';
import { joinModules, parseModule } from '../schema.js';
import { randomFields, randomSource } from '../testing/random.js';
import { RECORDED_VERSIONS, recordingOf, schemaOf } from '../testing/recording.js';
import { Writer } from './bytes.js';
import { MessageCodecs } from './message.js';

function encode(codecs: MessageCodecs, message: string, fields: Fields, id = 1): Buffer {
  const writer = new Writer(64);
  codecs.get(message).encode(writer, id, 2, 3, fields);
  return writer.bytes.subarray(0, writer.length);
}

const small = (text: string) => new MessageCodecs(parseSchema(text));

/** A message of one field behind the envelope of a reply. */
const one = (field: string, types = '') =>
  small(`${types}\nmessage m 00000000: u16 _vl_msg_id; u32 context; ${field}`);

function roundTrip(codecs: MessageCodecs, fields: Fields): Fields {
  return codecs.get('m').decode(encode(codecs, 'm', fields));
}

for (const version of RECORDED_VERSIONS) {
  const codecs = new MessageCodecs(schemaOf(version));

  test(`${version}: what a real VPP said is read, and written again is the same bytes`, () => {
    for (const { message, bytes, fields } of recordingOf(version)) {
      const codec = codecs.get(message);
      const read = codec.decode(bytes);
      assert.equal(toJson(read), fields, message);
      const writer = new Writer(16);
      const at = codec.contextAt;
      codec.encode(
        writer,
        bytes.readUInt16BE(0),
        at === 2 ? 0 : bytes.readUInt32BE(2),
        at === undefined ? 0 : bytes.readUInt32BE(at),
        read,
      );
      // VPP makes some messages longer than their fields are, and fills up with zeros.
      const padded = Buffer.concat([writer.bytes.subarray(0, writer.length), Buffer.alloc(10)]);
      assert.equal(padded.subarray(0, bytes.length).toString('hex'), bytes.toString('hex'), message);
    }
  });

  test(`${version}: JSON is as good as values`, () => {
    for (const { message, bytes, fields } of recordingOf(version)) {
      const codec = codecs.get(message);
      const values = encode(codecs, message, codec.decode(bytes));
      assert.equal(
        encode(codecs, message, fields as Fields).toString('hex'),
        values.toString('hex'),
        message,
      );
    }
  });

  test(`${version}: random values of every message come back`, () => {
    const random = randomSource(6);
    for (const message of codecs.schema.messages.values()) {
      for (let i = 0; i < 20; i++) {
        const fields = randomFields(codecs.schema, message, random);
        const bytes = encode(codecs, message.name, fields);
        const read = codecs.get(message.name).decode(bytes);
        assert.equal(encode(codecs, message.name, read).toString('hex'), bytes.toString('hex'), message.name);
        for (const [name, value] of Object.entries(fields)) {
          assert.equal(read[name], value, `${message.name}.${name}`);
        }
      }
    }
  });

  test(`${version}: 100,000 spoiled messages: read, or refused with a DecodeError that names the message`, () => {
    const random = randomSource(7);
    const recorded = recordingOf(version);
    let refused = 0;
    for (let i = 0; i < 100_000; i++) {
      const { message, bytes } = recorded[random(recorded.length)]!;
      const spoiled = spoil(bytes, random);
      try {
        codecs.get(message).decode(spoiled);
      } catch (error) {
        if (!(error instanceof DecodeError) || error.object !== message) throw error;
        refused++;
      }
    }
    assert.ok(refused > 10_000 && refused < 90_000, `${refused} refused`);
  });
}

/** Bits flipped, cut off, made longer, or a count made huge. */
function spoil(bytes: Buffer, random: (below: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  for (let n = random(4); n >= 0; n--) copy[random(copy.length)] = random(256);
  const kind = random(4);
  if (kind === 0) return copy.subarray(0, random(copy.length));
  if (kind === 1) return Buffer.concat([copy, Buffer.alloc(random(64), 0xff)]);
  if (kind === 2 && copy.length >= 8) copy.writeUInt32BE(0xffffffff - random(5), random(copy.length - 3));
  return copy;
}

test('integers to their limits, and not beyond', () => {
  const limits: readonly [string, Value, Value][] = [
    ['u8', 0, 255],
    ['i8', -128, 127],
    ['u16', 0, 65535],
    ['i16', -32768, 32767],
    ['u32', 0, 4294967295],
    ['i32', -2147483648, 2147483647],
    ['u64', 0n, 18446744073709551615n],
    ['i64', -9223372036854775808n, 9223372036854775807n],
  ];
  for (const [type, low, high] of limits) {
    const codecs = one(`${type} x`);
    for (const x of [low, high]) assert.equal(roundTrip(codecs, { x }), { x }, type);
    const below = typeof low === 'bigint' ? low - 1n : Number(low) - 1;
    const above = typeof high === 'bigint' ? high + 1n : Number(high) + 1;
    for (const x of [below, above, 'many', 0.5, Number.NaN]) {
      assert.throws(() => encode(codecs, 'm', { x }), isRefusal('m', 'x'), `${type} ${x}`);
    }
  }
});

function isRefusal(message: string, field: string) {
  return (error: unknown) =>
    error instanceof EncodeError && error.object === message && error.field === field && 'value' in error;
}

test('integers are big endian, doubles of this machine', () => {
  assert.equal(encode(one('u32 x'), 'm', { x: 0x01020304 }).toString('hex'), '00010000000301020304');
  const double = Buffer.alloc(8);
  double.writeDoubleLE(0.1);
  assert.equal(encode(one('f64 x'), 'm', { x: 0.1 }).subarray(6).toString('hex'), double.toString('hex'));
});

test('addresses are canonical text', () => {
  const codecs = one('address x');
  for (const [given, read] of [
    ['10.1.2.255', '10.1.2.255'],
    ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['::', '::'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ] as const) {
    assert.equal(roundTrip(codecs, { x: given }), { x: read });
  }
  assert.equal(
    encode(codecs, 'm', { x: '10.1.2.3' }).subarray(6).toString('hex'),
    `000a010203${'00'.repeat(12)}`,
  );
  for (const x of ['10.1.2', '10.1.2.256', 'fe80::1%eth0', '', 7]) {
    assert.throws(() => encode(codecs, 'm', { x }), isRefusal('m', 'x'));
  }
});

test('IPv6 addresses in all their forms, beside plain arithmetic', () => {
  const codecs = one('ip6_address x');
  const random = randomSource(9);
  for (let i = 0; i < 20_000; i++) {
    const groups = Array.from({ length: 8 }, () => (random(2) === 0 ? 0 : random(65_536)));
    const hex = groups.map((group) => group.toString(16).padStart(4, '0')).join('');
    const canonical = formatIp({ family: 6, value: BigInt(`0x${hex}`) });
    const whole = groups.map((group) => group.toString(16).padStart(1 + random(4), '0')).join(':');
    const tail = `${groups
      .slice(0, 6)
      .map((group) => group.toString(16))
      .join(':')}:${groups[6]! >> 8}.${groups[6]! & 255}.${groups[7]! >> 8}.${groups[7]! & 255}`;
    for (const x of [canonical, whole, whole.toUpperCase(), tail]) {
      assert.is(encode(codecs, 'm', { x }).subarray(6).toString('hex'), hex, x);
    }
    assert.equal(roundTrip(codecs, { x: whole }), { x: canonical });
  }
  for (const x of ['::', '::1', '1::', 'a:b::', '::ffff:1.2.3.4', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8']) {
    const { value } = parseIp(x);
    const hex = value.toString(16).padStart(32, '0');
    assert.is(encode(codecs, 'm', { x }).subarray(6).toString('hex'), hex, x);
  }
});

test('prefixes keep their host bits', () => {
  const codecs = one('prefix x');
  assert.equal(roundTrip(codecs, { x: '10.1.2.3/24' }), { x: '10.1.2.3/24' });
  assert.equal(roundTrip(codecs, { x: 'fd00::1/128' }), { x: 'fd00::1/128' });
  for (const x of ['10.1.2.3', '10.1.2.3/33', '10.1.2.3/-1', 'fd00::/129', '/8']) {
    assert.throws(() => encode(codecs, 'm', { x }), isRefusal('m', 'x'));
  }
});

test('prefixes that come again, in runs and out of order, more of them than are remembered', () => {
  const codecs = one('u32 n; pair l[n]', 'type pair: prefix a; prefix b');
  const random = randomSource(11);
  const plain = (x: string): string => {
    const [text = '', length] = x.split('/');
    const { family, value } = parseIp(text);
    const address = value.toString(16).padStart(family === 4 ? 8 : 32, '0');
    const tail = Number(length).toString(16).padStart(2, '0');
    return `${family === 4 ? '00' : '01'}${address.padEnd(32, '0')}${tail}`;
  };
  const any = (): string =>
    random(4) === 0
      ? `fd00::${random(65_536).toString(16)}:${random(8)}/${random(129)}`
      : `10.${random(4)}.${random(256)}.${random(256)}/${random(33)}`;
  const few = Array.from({ length: 5 }, any);
  const pick = (): string => few[random(few.length)] as string;
  let [a, b] = ['0.0.0.0/0', '0.0.0.0/0'];
  for (let message = 0; message < 60; message++) {
    const l = Array.from({ length: 1000 }, () => {
      if (random(3) === 0) a = random(2) === 0 ? pick() : any();
      if (random(20) === 0) b = pick();
      return { a, b };
    });
    const expected = l.map((pair) => plain(pair.a) + plain(pair.b)).join('');
    assert.ok(encode(codecs, 'm', { l }).subarray(10).toString('hex') === expected);
    const wrong = [...l.slice(0, 7), { a, b: '10.0.0.0/33' }, ...l];
    assert.throws(() => encode(codecs, 'm', { l: wrong }), isRefusal('m', 'l[7].b'));
  }
});

test('strings: of fixed length with a NUL at the end, of any length with it before', () => {
  const fixed = one('string x[8]');
  assert.equal(roundTrip(fixed, { x: 'sieben7' }), { x: 'sieben7' });
  assert.equal(roundTrip(fixed, { x: 'fünf' }), { x: 'fünf' });
  assert.throws(() => encode(fixed, 'm', { x: 'eight888' }), isRefusal('m', 'x'));
  assert.throws(() => encode(fixed, 'm', { x: 'üüüü' }), isRefusal('m', 'x'));
  assert.throws(() => encode(fixed, 'm', { x: 'a\0b' }), isRefusal('m', 'x'));
  const full = Buffer.concat([Buffer.alloc(6), Buffer.from('eight888')]);
  assert.equal(fixed.get('m').decode(full), { x: 'eight888' });
  const variable = one('string x[]');
  const long = 'ß'.repeat(100_000);
  assert.equal(roundTrip(variable, { x: long }), { x: long });
  assert.equal(roundTrip(variable, {}), { x: '' });
});

test('enums are symbols, flags lists of them; numbers without a name stay numbers', () => {
  const codecs = one('colour x', 'enum colour u8: RED=0 GREEN=1');
  assert.equal(roundTrip(codecs, { x: 'GREEN' }), { x: 'GREEN' });
  assert.equal(roundTrip(codecs, { x: 77 }), { x: 77 });
  assert.throws(() => encode(codecs, 'm', { x: 'BLUE' }), isRefusal('m', 'x'));
  const flags = one('bits x', 'flags bits u32: NONE=0 ONE=1 TWO=2 BOTH=3 TOP=2147483648 WIDE=24');
  assert.equal(roundTrip(flags, { x: ['BOTH'] }), { x: ['ONE', 'TWO'] });
  assert.equal(roundTrip(flags, { x: ['TOP', 'NONE'] }), { x: ['TOP'] });
  assert.equal(roundTrip(flags, { x: ['WIDE', 4] }), { x: ['WIDE', 4] });
  assert.equal(roundTrip(flags, { x: 5 }), { x: ['ONE', 4] });
  assert.equal(roundTrip(flags, { x: [] }), { x: [] });
  assert.throws(() => encode(flags, 'm', { x: 'ONE' }), isRefusal('m', 'x'));
});

test('a union is its arm, zero-filled to the largest', () => {
  const types = [
    'union value: u8 small {case SMALL}; u32 big {case BIG}',
    'enum kind u8: SMALL=0 BIG=1 NEITHER=2',
    'type told: kind k; value v {by k}',
    'type untold: kind k; value v',
  ].join('\n');
  const told = one('told x', types);
  assert.equal(roundTrip(told, { x: { k: 'BIG', v: { big: 5 } } }), { x: { k: 'BIG', v: { big: 5 } } });
  assert.equal(
    encode(told, 'm', { x: { v: { small: 9 } } })
      .subarray(6)
      .toString('hex'),
    '0009000000',
  );
  assert.equal(roundTrip(told, { x: { k: 'NEITHER', v: { small: 9 } } }), {
    x: { k: 'NEITHER', v: { raw: new Uint8Array([9, 0, 0, 0]) } },
  });
  assert.equal(roundTrip(one('untold x', types), { x: { v: { big: 1 } } }), {
    x: { k: 'SMALL', v: { raw: new Uint8Array([0, 0, 0, 1]) } },
  });
  assert.throws(() => encode(told, 'm', { x: { v: { small: 1, big: 2 } } }), isRefusal('m', 'x.v'));
  assert.throws(() => encode(told, 'm', { x: { v: { huge: 1 } } }), isRefusal('m', 'x.v'));
  assert.throws(() => encode(told, 'm', { x: { v: { big: -1 } } }), isRefusal('m', 'x.v.big'));
});

test('the address of a next hop is told apart by the path around it', () => {
  const codecs = new MessageCodecs(schemaOf('26.06'));
  for (const [proto, address] of [
    ['FIB_API_PATH_NH_PROTO_IP4', { ip4: '10.0.0.1' }],
    ['FIB_API_PATH_NH_PROTO_IP6', { ip6: '2001:db8::' }],
  ] as const) {
    const fields = { route: { prefix: '10.0.0.0/8', paths: [{ proto, nh: { address } }] } };
    const bytes = encode(codecs, 'ip_route_add_del', fields);
    const { route } = codecs.get('ip_route_add_del').decode(bytes) as {
      route: { paths: { nh: { address: Value } }[] };
    };
    assert.equal(route.paths[0]?.nh.address, address);
  }
});

test('counts are those of the arrays; a wrong one is refused', () => {
  const codecs = one('u8 n; u32 list[n]');
  assert.equal(roundTrip(codecs, { list: [7, 8] }), { n: 2, list: [7, 8] });
  assert.equal(roundTrip(codecs, {}), { n: 0, list: [] });
  assert.throws(() => encode(codecs, 'm', { n: 3, list: [7] }), isRefusal('m', 'n'));
  assert.throws(() => encode(codecs, 'm', { list: [1, 'x'] }), isRefusal('m', 'list[1]'));
  assert.throws(() => encode(codecs, 'm', { list: new Array(256).fill(0) }), isRefusal('m', 'n'));
});

test('arrays of fixed length are filled up; the oldest kind runs to the end', () => {
  assert.equal(roundTrip(one('u16 x[3]'), { x: [1] }), { x: [1, 0, 0] });
  assert.equal(roundTrip(one('u8 x[3]'), { x: new Uint8Array([1]) }), { x: new Uint8Array([1, 0, 0]) });
  assert.throws(() => encode(one('u16 x[3]'), 'm', { x: [1, 2, 3, 4] }), isRefusal('m', 'x'));
  assert.throws(() => encode(one('u8 x[3]'), 'm', { x: new Uint8Array(4) }), isRefusal('m', 'x'));
  assert.equal(roundTrip(one('u32 x[]'), { x: [1, 2, 3] }), { x: [1, 2, 3] });
  assert.equal(roundTrip(one('u8 x[]'), { x: new Uint8Array([5, 6]) }), { x: new Uint8Array([5, 6]) });
});

test('a path inside is named whole', () => {
  const codecs = one(
    'u8 n; outer list[n]',
    'type inner: u8 b[2]; u16 port\ntype outer: inner in; string name[4]',
  );
  const fields = { list: [{}, { in: { port: 70_000 } }] };
  assert.throws(() => encode(codecs, 'm', fields), isRefusal('m', 'list[1].in.port'));
});

test('a field left out takes its default', () => {
  const types = 'enum colour u8: RED=0 GREEN=1\ntype t: u32 a = 4294967295; bool b = true; u8 c';
  const codecs = one('u32 x = 77; bool y = true; f64 z = 1.5; colour e = GREEN; t s', types);
  assert.equal(roundTrip(codecs, {}), {
    x: 77,
    y: true,
    z: 1.5,
    e: 'GREEN',
    s: { a: 4294967295, b: true, c: 0 },
  });
  assert.equal(roundTrip(codecs, { x: 0, y: false, s: { a: 1 } }), {
    x: 0,
    y: false,
    z: 1.5,
    e: 'GREEN',
    s: { a: 1, b: true, c: 0 },
  });
});

test('a field an older version lacks may be given as long as it says nothing', () => {
  const codecs = one('u32 x; u8 n; u8 list[n]', '');
  assert.equal(roundTrip(codecs, { x: 1, newer: false, another: [], third: { deep: 0, text: '' } }), {
    x: 1,
    n: 0,
    list: new Uint8Array(0),
  });
  assert.throws(() => encode(codecs, 'm', { x: 1, newer: true }), isRefusal('m', 'newer'));
  assert.throws(() => encode(one('u32 x'), 'm', { x: 1, third: { deep: 3 } }), isRefusal('m', 'third'));
});

test('a name that is no name never becomes code', () => {
  const name = 'x){process.exit(9)}//';
  const message = ['m', ['u16', '_vl_msg_id'], ['u32', 'context'], ['u32', name], { crc: '0x00000000' }];
  const codecs = new MessageCodecs(joinModules([parseModule('m', { messages: [message] })]));
  assert.equal(roundTrip(codecs, { [name]: 7 }), { [name]: 7 });
});

test('what fails leaves nothing behind', () => {
  const codecs = one('u32 x; u8 n; u8 list[n]');
  const writer = new Writer(4);
  codecs.get('m').encode(writer, 1, 0, 1, { x: 1 });
  const before = writer.length;
  assert.throws(() => codecs.get('m').encode(writer, 1, 0, 1, { x: -1 }), isRefusal('m', 'x'));
  assert.is(writer.length, before);
});

test('a message nobody describes is missing', () => {
  assert.throws(
    () => one('u8 x').get('other'),
    (error: unknown) => error instanceof MissingMessageError,
  );
});

test.run();
