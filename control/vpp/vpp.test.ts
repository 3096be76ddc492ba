/** `pteropus vpp` against a scripted peer, and against folders of API files. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadApiDir } from '../backends/vpp/api/load.js';
import { schemaOf } from '../backends/vpp/api/testing/recording.js';
import { type ScriptedPeer, scriptedPeer } from '../backends/vpp/api/testing/scripted-peer.js';
import { compareSchemas, formatDifference } from './compare.js';
import { run } from './main.js';

const test = suite('pteropus vpp');

const ID = ['u16', '_vl_msg_id'];
const REQUEST = [ID, ['u32', 'client_index'], ['u32', 'context']];
const REPLY = [ID, ['u32', 'context'], ['i32', 'retval']];
const crc = (digits: string) => ({ crc: `0x${digits.padStart(8, '0')}` });

/** An API of a few messages, as files. `extra` are fields of the rule. */
function apiDir(extra: readonly unknown[] = []): string {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-vpp-cli-'));
  const files = {
    module: 'few',
    types: [['rule', ['u8', 'proto'], ['u64', 'packets'], ['u8', 'key', 2], ...extra]],
    messages: [
      ['show_version', ...REQUEST, crc('1')],
      ['show_version_reply', ...REPLY, ['string', 'program', 32], ['string', 'version', 32], crc('2')],
      ['control_ping', ...REQUEST, crc('3')],
      ['control_ping_reply', ...REPLY, ['u32', 'client_index'], ['u32', 'vpe_pid'], crc('4')],
      ['sockclnt_delete', ...REQUEST, ['u32', 'index'], crc('5')],
      ['sockclnt_delete_reply', ID, ['u32', 'context'], ['i32', 'response'], crc('6')],
      ['cli_inband', ...REQUEST, ['string', 'cmd', 0], crc('7')],
      ['cli_inband_reply', ...REPLY, ['string', 'reply', 0], crc('8')],
      [
        'acl_add_replace',
        ...REQUEST,
        ['u32', 'count'],
        ['vl_api_rule_t', 'r', 0, 'count'],
        crc(`9${extra.length}`),
      ],
      ['acl_add_replace_reply', ID, ['u32', 'context'], ['u32', 'acl_index'], ['i32', 'retval'], crc('a')],
      ['acl_dump', ...REQUEST, ['u32', 'acl_index'], crc('b')],
      ['acl_details', ID, ['u32', 'context'], ['vl_api_rule_t', 'rule'], crc(`c${extra.length}`)],
    ],
    services: {
      show_version: { reply: 'show_version_reply' },
      control_ping: { reply: 'control_ping_reply' },
      sockclnt_delete: { reply: 'sockclnt_delete_reply' },
      cli_inband: { reply: 'cli_inband_reply' },
      acl_add_replace: { reply: 'acl_add_replace_reply' },
      acl_dump: { reply: 'acl_details', stream: true },
    },
  };
  writeFileSync(join(dir, 'few.api.json'), JSON.stringify(files));
  return dir;
}

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What the verb prints, and its exit code. Throws what it throws. */
async function answer(argv: readonly string[]): Promise<Answer> {
  const { stdout, stderr } = process;
  const [writeOut, writeErr] = [stdout.write, stderr.write];
  let [out, err] = ['', ''];
  stdout.write = ((chunk: string) => {
    out += chunk;
    return true;
  }) as typeof writeOut;
  stderr.write = ((chunk: string) => {
    err += chunk;
    return true;
  }) as typeof writeErr;
  try {
    const code = await run(argv);
    return { code, out, err };
  } finally {
    stdout.write = writeOut;
    stderr.write = writeErr;
  }
}

async function withPeer(
  body: (
    vpp: (...argv: readonly string[]) => Promise<Answer>,
    peer: ScriptedPeer,
    dir: string,
  ) => Promise<void>,
): Promise<void> {
  const dir = apiDir();
  const peer = await scriptedPeer({ schema: loadApiDir(dir) });
  try {
    await body((...argv) => answer(['--socket', peer.socket, '--api-dir', dir, ...argv]), peer, dir);
  } finally {
    await peer.close();
    rmSync(dir, { recursive: true });
  }
}

test('call prints the reply, and takes what it printed', () =>
  withPeer(async (vpp, peer) => {
    peer.on('acl_add_replace', (request) => request.reply({ acl_index: 7 }));
    const fields = '{"r":[{"proto":6,"packets":"18446744073709551615","key":"0x01ff"}]}';
    const { code, out } = await vpp('call', 'acl_add_replace', fields, '--json');
    assert.is(code, 0);
    assert.equal(JSON.parse(out), { acl_index: 7, retval: 0 });
    const [asked] = peer.asked('acl_add_replace');
    assert.equal(asked?.fields['r'], [
      { proto: 6, packets: 18446744073709551615n, key: new Uint8Array([1, 255]) },
    ]);
    peer.on('acl_dump', (request) => {
      request.details({ rule: { packets: 5n } });
      request.details({ rule: { proto: 17 } });
    });
    const dump = await vpp('call', 'acl_dump', '{"acl_index":1}', '--json');
    assert.equal(
      dump.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
      [
        { rule: { proto: 0, packets: '5', key: '0x0000' } },
        { rule: { proto: 17, packets: '0', key: '0x0000' } },
      ],
    );
  }));

test('a refusal is exit code 1 and said; so is that of a command', () =>
  withPeer(async (vpp, peer) => {
    peer.on('acl_add_replace', (request) => request.reply({ retval: -6 }));
    const refused = await vpp('call', 'acl_add_replace');
    assert.is(refused.code, 1);
    assert.match(refused.err, /NO_SUCH_ENTRY \(-6\)/);
    peer.on('cli_inband', ({ fields, reply }) =>
      fields['cmd'] === 'show version'
        ? reply({ reply: 'vpp v1\n' })
        : reply({ retval: -1, reply: 'unknown input' }),
    );
    assert.equal(await vpp('cli', 'show', 'version'), { code: 0, out: 'vpp v1\n', err: '' });
    const unknown = await vpp('cli', 'nonsense');
    assert.is(unknown.code, 1);
    assert.match(unknown.err, /unknown input/);
  }));

test('messages are listed with their form, by their files alone', () =>
  withPeer(async (vpp, peer) => {
    const files = await vpp('messages', '^acl_add');
    assert.is(files.out, 'acl_add_replace 00000090 few\nacl_add_replace_reply 0000000a few\n');
    const fields = await vpp('messages', '^acl_dump$', '--fields');
    assert.match(fields.out, /^type rule: u8 proto; u64 packets; u8 key\[2\]$/m);
    assert.match(fields.out, /^service acl_dump: details acl_details$/m);
    assert.is(peer.requests.length, 0);
  }));

test('two versions: what is missing, new, changed, and where', async () => {
  const older = apiDir();
  const newer = apiDir([['u32', 'extra']]);
  try {
    const { code, out } = await answer(['diff', older, newer]);
    assert.is(code, 1);
    assert.is(out, '~ acl_add_replace\n    + rule: u32 extra\n~ acl_details\n    + rule: u32 extra\n');
    assert.equal(await answer(['diff', older, older]), { code: 0, out: '', err: '' });
  } finally {
    rmSync(older, { recursive: true });
    rmSync(newer, { recursive: true });
  }
});

test('what changed from 23.02 to 26.06 of the messages in use', () => {
  const lines = compareSchemas(schemaOf('23.02'), schemaOf('26.06'), [
    'cnat_translation_update',
    'acl_dump',
    'policer_add',
  ])
    .map(formatDifference)
    .join('\n');
  assert.match(
    lines,
    /^~ cnat_translation_update\n {4}\+ cnat_translation: ip_flow_hash_config_v2 flow_hash_config$/m,
  );
  assert.match(lines, /^\+ policer_add$/m);
  assert.not.match(lines, /acl_dump|\{by/);
});

test('types are written to a file', async () => {
  const dir = apiDir();
  const path = join(dir, 'types.ts');
  assert.is((await answer(['types', '--api-dir', dir, '--out', path])).code, 0);
  assert.match(readFileSync(path, 'utf8'), /readonly acl_dump: \{ readonly request: AclDump/);
  rmSync(dir, { recursive: true });
});

test('wrong use is an error that names what is wrong', async () => {
  assert.is((await answer(['--help'])).code, 0);
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['messages', '(', '--api-dir', '/'], /PATTERN/],
    [[], /a command is needed: messages, call, cli, diff, types or stats/],
    [['frobnicate'], /unknown command.*"frobnicate"/],
    [['call'], /call: needs an argument/],
    [['cli'], /cli: needs an argument/],
    [['diff', 'a', 'b', 'c'], /diff: unexpected argument \(got "c"\)/],
    [['diff', '/none', '/none'], /\/none: .*no such file/],
    [['call', 'x', '{'], /JSON: cannot be read/],
    [['call', 'x', '[]'], /must be an object/],
    [['cli', 'x', '--timeout', 'soon'], /--timeout/],
    [['cli', 'x', '--frobnicate'], /--frobnicate/],
    [['cli', 'x', '--socket', '/nowhere'], /\/nowhere: cannot connect/],
  ];
  for (const [argv, text] of wrong) {
    const error = await answer(argv).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.instance(error, Error, argv.join(' '));
    assert.match((error as Error).message, text);
  }
});

test.run();
