/** The program as a shell sees it: what it prints where, its exit codes, and how every verb refuses a wrong command line. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packageVersion } from './common/version.js';

const PROGRAM = fileURLToPath(new URL('../../../bin/pteropus.mjs', import.meta.url));

const SHOP = fileURLToPath(new URL('../../../examples/shop', import.meta.url));

const VERBS: readonly string[] = [
  ...['sim', 'explain', 'matrix', 'diff', 'ksr', 'agent', 'dataplane', 'vswitch', 'vpp', 'cni', 'node'],
  ...['exec', 'apply', 'delete', 'trace', 'matrix', 'status', 'watch', 'down'].map((name) => `sim ${name}`),
];

function pteropus(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('help and version are answers; their absence is wrong usage', () => {
  for (const ask of [['--help'], ['-h'], ['help']]) {
    const { status, stdout, stderr } = pteropus(...ask);
    assert.equal([status, stderr], [0, '']);
    assert.match(stdout, /^usage: pteropus VERB/);
  }
  assert.equal(pteropus('--version'), { status: 0, stdout: `${packageVersion()}\n`, stderr: '' });
  const { status, stderr } = pteropus('bogus');
  assert.is(status, 2);
  assert.match(stderr, /^pteropus: unknown verb "bogus"/);
});

test('help VERB is VERB --help', () => {
  assert.equal(pteropus('help', 'diff'), pteropus('diff', '--help'));
  assert.is(pteropus('help', 'bogus').status, 2);
});

test('help is an answer: on standard output, with exit code 0', () => {
  for (const verb of VERBS) {
    const { status, stdout, stderr } = pteropus(...verb.split(' '), '--help');
    assert.equal({ status, stderr }, { status: 0, stderr: '' }, verb);
    assert.match(stdout, new RegExp(`^usage: pteropus ${verb}`), verb);
  }
});

test('help of a command is that of its verb', () => {
  for (const line of ['node prepare --help', 'cni install -h', 'vpp call --help']) {
    assert.is(pteropus(...line.split(' ')).status, 0, line);
  }
});

const WRONG: Readonly<Record<string, string>> = {
  sim: '--nodes 0|--nodes: must be 1-64 (got "0")',
  'sim trace': 'a|needs FROM and TO',
  // It would have ended the cluster `sim`.
  'sim down': "shop|unexpected argument 'shop'",
  'sim status': "shop|unexpected argument 'shop'",
  'sim apply': '|-f: is needed: a file, a folder, or - for standard input',
  'sim delete': '-f x pod a/b|-f PATH and KIND NS/NAME exclude each other',
  explain: `-f ${SHOP}|--from: is needed`,
  matrix: "x|unexpected argument 'x'",
  diff: '-f x|-f: must be given twice: the manifests before and after',
  ksr: '|--store: is needed, or --config FILE',
  agent: '--die-with-stdin|--config: is needed',
  dataplane: '--socket s --sessions 99999999|--sessions: must be 1-16777216 (got "99999999")',
  vswitch: '--preflight|--config: is needed',
  vpp: 'call|call: needs an argument',
  cni: 'frobnicate|unknown command; there are install, uninstall, conflist (got "frobnicate")',
  node: 'check --cluster c|--settings: is needed',
};

test('a wrong command line: one line that names what is wrong, one that leads to the usage, exit code 2', () => {
  for (const [command, expected] of Object.entries(WRONG)) {
    const [verb = ''] = command.split(' ');
    const [args = '', message] = expected.split('|');
    assert.equal(
      pteropus(...`${command} ${args}`.split(' ').filter(Boolean)),
      { status: 2, stdout: '', stderr: `pteropus ${verb}: ${message}\nSee 'pteropus ${verb} --help'.\n` },
      command,
    );
  }
});

test('an unknown option is named by every verb', () => {
  for (const verb of VERBS.filter((name) => !name.startsWith('sim '))) {
    const { status, stderr } = pteropus(verb, '--frobnicate');
    assert.is(status, 2, verb);
    assert.match(stderr, new RegExp(`^pteropus ${verb}: unknown option '--frobnicate'\n`), verb);
  }
});

test('who stops reading ends the program, without a stack', () => {
  const line = `${process.execPath} ${PROGRAM} matrix -f ${SHOP} --json | head -c 1; echo "$PIPESTATUS"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', line], { encoding: 'utf8' });
  assert.equal([stdout, stderr], ['{141\n', '']);
});

test('wrong input is 2, what is not there is 3; and neither shows a stack', () => {
  const wrong = pteropus('explain', '-f', '/nonexistent', '--from', 'a/b', '--to', 'a/c');
  assert.is(wrong.status, 2);
  assert.match(wrong.stderr, /^pteropus explain: .*\n$/);
  const frames = pteropus('dataplane', '--socket', '/nonexistent', '--frames', '1500');
  assert.is(frames.status, 2);
  assert.match(frames.stderr, /^pteropus dataplane: --frames: must be a power of two \(got "1500"\)\n/);
  const file = pteropus('agent', '--config', '/nonexistent');
  assert.is(file.status, 2);
  assert.match(
    file.stderr,
    /^pteropus agent: \/nonexistent: cannot be read: .*\n$/,
    'no hint: the command line is right',
  );
  const away = pteropus('vpp', 'messages', '--socket', '/nonexistent');
  assert.is(away.status, 3);
  assert.match(away.stderr, /^pteropus vpp: \/nonexistent: cannot connect.*\n$/);
});

test.run();
