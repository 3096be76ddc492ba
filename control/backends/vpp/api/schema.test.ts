/** Descriptions: as VPP writes them, old and new; in our notation; their parts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MessageCodecs } from './codec/message.js';
import { ApiSchemaError, MissingMessageError } from './errors.js';
import { generateTypes } from './generate.js';
import { loadApiDir, parseApiJson } from './load.js';
import { formatMessage, formatSchema, parseSchema } from './notation.js';
import { joinModules, parseModule } from './schema.js';
import { subsetOf } from './subset.js';
import { RECORDED_VERSIONS, schemaOf } from './testing/recording.js';
import { USED_MESSAGES } from './used.js';

/** A file in the style of 2020 and one in that of 2026, of messages that VPP does not have. */
const OLD = {
  types: [['point', ['u8', 'x'], ['u16', 'ys', 0, 'x']]],
  unions: [['shape', ['u8', 'round'], ['u32', 'square']]],
  enums: [['colour', ['RED', 0], ['GREEN', 1], { enumtype: 'u8' }]],
  aliases: { tint: { type: 'vl_api_colour_t' }, badge: { type: 'u8', length: 6 } },
  messages: [
    [
      'old_thing',
      ['u16', '_vl_msg_id'],
      ['u32', 'client_index'],
      ['u32', 'context'],
      ['vl_api_tint_t', 't', { default: 1 }],
      { crc: '0x0000ABCD' },
    ],
    [
      'old_thing_reply',
      ['u16', '_vl_msg_id'],
      ['u32', 'context'],
      ['i32', 'retval'],
      ['vl_api_badge_t', 'b'],
      ['u32', 'rest', 0],
      { crc: '0x00000001' },
    ],
    ['old_dump', ['u16', '_vl_msg_id'], ['u32', 'client_index'], ['u32', 'context'], { crc: '0x00000002' }],
    [
      'old_details',
      ['u16', '_vl_msg_id'],
      ['u32', 'context'],
      ['string', 'name', 8],
      ['string', 'text', 0],
      { crc: '0x00000003' },
    ],
    ['old_event', ['u16', '_vl_msg_id'], ['u32', 'client_index'], ['u32', 'pid'], { crc: '0x00000004' }],
  ],
  services: {
    old_thing: { reply: 'old_thing_reply', events: ['old_event'] },
    old_dump: { reply: 'old_details', stream: true },
    silent: { reply: 'null' },
  },
  vl_api_version: '0x12345678',
};
const NEW = {
  module: 'newer',
  types: [
    ['told', ['vl_api_colour_t', 'by'], ['vl_api_shape_t', 's', { discriminator: 'by' }], { comment: 'x' }],
  ],
  unions: [['shape', ['u8', 'round', { case: 'RED' }], ['u32', 'square', { case: 'GREEN' }]]],
  enums: [
    ['colour', ['RED', 0], ['GREEN', 1], { enumtype: 'u8' }],
    ['on_flags', ['A', 1], { enumtype: 'u8' }],
  ],
  enumflags: [['bits', ['B', 1], { enumtype: 'u32' }]],
  messages: [
    [
      'new_get',
      ['u16', '_vl_msg_id'],
      ['u32', 'client_index'],
      ['u32', 'context'],
      ['u32', 'cursor'],
      ['bool', 'all', { default: 'true' }],
      { crc: '0x00000005', options: {}, comment: '' },
    ],
    [
      'new_get_reply',
      ['u16', '_vl_msg_id'],
      ['u32', 'context'],
      ['i32', 'retval'],
      ['u32', 'cursor'],
      { crc: '0x00000006' },
    ],
    [
      'new_details',
      ['u16', '_vl_msg_id'],
      ['u32', 'context'],
      ['vl_api_told_t', 'told'],
      ['vl_api_on_flags_t', 'on'],
      ['vl_api_bits_t', 'bits'],
      { crc: '0x00000007' },
    ],
  ],
  services: { new_get: { reply: 'new_get_reply', stream: true, stream_msg: 'new_details' } },
};

const schema = () => joinModules([parseModule('old', OLD), parseModule('newer', NEW)]);

test('both styles of files are understood', () => {
  assert.is(
    formatSchema(schema()),
    [
      'enum colour u8: RED=0 GREEN=1',
      'flags bits u32: B=1',
      'flags on_flags u8: A=1',
      'alias badge u8[6]',
      'alias tint colour',
      'union shape: u8 round {case RED}; u32 square {case GREEN}',
      'type point: u8 x; u16 ys[x]',
      'type told: colour by; shape s {by by}',
      'message new_details 00000007: u16 _vl_msg_id; u32 context; told told; on_flags on; bits bits',
      'message new_get 00000005: u16 _vl_msg_id; u32 client_index; u32 context; u32 cursor; bool all = true',
      'message new_get_reply 00000006: u16 _vl_msg_id; u32 context; i32 retval; u32 cursor',
      'message old_details 00000003: u16 _vl_msg_id; u32 context; string name[8]; string text[]',
      'message old_dump 00000002: u16 _vl_msg_id; u32 client_index; u32 context',
      'message old_event 00000004: u16 _vl_msg_id; u32 client_index; u32 pid',
      'message old_thing 0000abcd: u16 _vl_msg_id; u32 client_index; u32 context; tint t = 1',
      'message old_thing_reply 00000001: u16 _vl_msg_id; u32 context; i32 retval; badge b; u32 rest[]',
      'service new_get: details new_details reply new_get_reply',
      'service old_dump: details old_details',
      'service old_thing: reply old_thing_reply',
      'service silent:',
      '',
    ].join('\n'),
  );
});

test('a type is that of its own file', () => {
  // Two files may have types of the same name: `shape` tells its arm in one of them alone.
  const codecs = new MessageCodecs(schema());
  const bytes = Buffer.from(`000100000003${'01'}${'00000009'}${'01'}${'00000001'}`, 'hex');
  assert.equal(codecs.get('new_details').decode(bytes), {
    told: { by: 'GREEN', s: { square: 9 } },
    on: ['A'],
    bits: ['B'],
  });
});

test('from a folder, and from VPP itself', () => {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-api-'));
  mkdirSync(join(dir, 'core'));
  mkdirSync(join(dir, 'plugins'));
  writeFileSync(join(dir, 'core/old.api.json'), JSON.stringify(OLD));
  writeFileSync(join(dir, 'plugins/newer.api.json'), JSON.stringify(NEW));
  writeFileSync(join(dir, 'plugins/README'), 'no description');
  assert.is(formatSchema(loadApiDir(dir)), formatSchema(schema()));
  assert.is(
    formatSchema(parseApiJson(JSON.stringify([{ ...OLD, module: 'old' }, NEW]))),
    formatSchema(schema()),
  );
  writeFileSync(join(dir, 'plugins/broken.api.json'), '{"messages": [');
  assert.throws(() => loadApiDir(dir), isSchemaError(/broken\.api\.json: not JSON/));
  rmSync(dir, { recursive: true });
  assert.throws(() => loadApiDir(dir), isSchemaError(/ENOENT/));
});

function isSchemaError(text: RegExp) {
  return (error: unknown) => error instanceof ApiSchemaError && text.test(error.message);
}

test('what is no description is told with its place', () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [[], /not an object/],
    [{ types: 7 }, /types: not a list/],
    [{ types: [[['u8', 'x']]] }, /without name/],
    [{ types: [['t', ['u8']]] }, /t: a field without type or name/],
    [{ messages: [['m', ['u16', 'id']]] }, /m: (not an object|a message without CRC)/],
    [{ messages: [['m', { crc: 'x' }]] }, /m: a message without CRC/],
    [{ enums: [['e', ['A', 'x']]] }, /e: an enum value/],
    [{ aliases: { a: { length: 3 } } }, /a: an alias without type/],
    [{ services: { s: 7 } }, /s: not an object/],
  ];
  for (const [json, text] of cases) assert.throws(() => parseModule('broken', json), isSchemaError(text));
});

test('a type that is nowhere, or holds itself, is told when it is needed', () => {
  const message = (type: string) => [
    'm',
    ['u16', '_vl_msg_id'],
    ['u32', 'context'],
    [type, 'x'],
    { crc: '0x00000000' },
  ];
  const codecs = (type: string, types: unknown[]) =>
    new MessageCodecs(joinModules([parseModule('m', { messages: [message(type)], types })]));
  assert.throws(() => codecs('vl_api_gone_t', []).get('m'), isSchemaError(/m: x: type gone is nowhere/));
  const loop = [['loop', ['vl_api_loop_t', 'again']]];
  assert.throws(() => codecs('vl_api_loop_t', loop).get('m'), isSchemaError(/holds itself/));
});

test('a part has all that its messages need, and nothing else', () => {
  const part = subsetOf(schema(), ['new_get']);
  assert.equal([...part.messages.keys()].sort(), ['new_details', 'new_get', 'new_get_reply']);
  assert.not.match(formatSchema(part), /badge|old_/);
  assert.is(new MessageCodecs(part).get('new_details').crc, '00000007');
  assert.throws(
    () => subsetOf(schema(), ['gone']),
    (error: unknown) => error instanceof MissingMessageError,
  );
  assert.is(subsetOf(schema(), ['gone'], true).messages.size, 0);
});

test('types for requests, dumps and events', () => {
  const text = generateTypes(schema(), ['old_thing', 'old_dump', 'old_event', 'new_get', 'gone']);
  for (const line of [
    'readonly old_thing: { readonly request: OldThing; readonly reply: OldThingReply };',
    'readonly old_dump: { readonly request: OldDump; readonly details: OldDetails };',
    'readonly new_get: { readonly request: NewGet; readonly details: NewDetails };',
    'readonly old_event: OldEvent;',
    "export type Colour = 'RED' | 'GREEN' | number;",
    'readonly on: readonly OnFlags[];',
    'readonly b: Uint8Array;',
    'readonly rest: readonly number[];',
    "  old_thing: '0000abcd',",
  ]) {
    assert.ok(text.includes(line), line);
  }
});

for (const version of RECORDED_VERSIONS) {
  test(`${version}: the notation loses nothing`, () => {
    const text = formatSchema(schemaOf(version));
    assert.is(formatSchema(parseSchema(text)), text);
    const codecs = new MessageCodecs(schemaOf(version));
    for (const message of codecs.schema.messages.values()) {
      assert.is(codecs.get(message.name).crc, message.crc, formatMessage(message));
    }
  });
}

test('the newest version known has most of what is used', () => {
  const { messages } = schemaOf('26.06');
  assert.ok(USED_MESSAGES.filter((name) => messages.has(name)).length > 0.8 * USED_MESSAGES.length);
});

test('a line that is no description is told', () => {
  assert.throws(() => parseSchema('message m 0: u8'), isSchemaError(/line 1/));
  assert.throws(() => parseSchema('# a comment\n\nnonsense'), isSchemaError(/line 3/));
});

test.run();
