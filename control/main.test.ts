/** `pteropus VERB`: every verb tells its usage, and refuses a wrong command line in the same way. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const PROGRAM = fileURLToPath(new URL('../../../bin/pteropus.mjs', import.meta.url));
const SHOP = fileURLToPath(new URL('../../../examples/shop', import.meta.url));

const VERBS: readonly string[] = [
  ...['sim', 'explain', 'matrix', 'diff', 'ksr', 'agent', 'dataplane', 'vswitch', 'vpp', 'cni', 'node'],
  ...['exec', 'apply', 'delete', 'trace', 'matrix', 'status', 'watch', 'down'].map((name) => `sim ${name}`),
];

function pteropus(line: string) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [PROGRAM, ...line.split(' ').filter(Boolean)],
    {
      encoding: 'utf8',
      input: '',
    },
  );
  return { status, stdout, stderr };
}

test('help is an answer: on standard output, with exit code 0', () => {
  for (const verb of VERBS) {
    const { status, stdout, stderr } = pteropus(`${verb} --help`);
    assert.equal({ status, stderr }, { status: 0, stderr: '' }, verb);
    assert.match(stdout, new RegExp(`^usage: pteropus ${verb}`), verb);
  }
});

test('help of a command is that of its verb', () => {
  for (const line of ['node prepare --help', 'cni install -h', 'vpp call --help']) {
    assert.is(pteropus(line).status, 0, line);
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
      pteropus(`${command} ${args}`),
      { status: 2, stdout: '', stderr: `pteropus ${verb}: ${message}\nSee 'pteropus ${verb} --help'.\n` },
      command,
    );
  }
});

test('an unknown option is named by every verb', () => {
  for (const verb of VERBS.filter((name) => !name.startsWith('sim '))) {
    const { status, stderr } = pteropus(`${verb} --frobnicate`);
    assert.is(status, 2, verb);
    assert.match(stderr, new RegExp(`^pteropus ${verb}: unknown option '--frobnicate'\n`), verb);
  }
});

test('what is wrong in a file is not a wrong command line', () => {
  const { status, stderr } = pteropus('agent --config /none');
  assert.is(status, 2);
  assert.match(stderr, /^pteropus agent: \/none: cannot be read: .*\n$/);
});

test('without a verb, and with one that is none', () => {
  assert.is(pteropus('').status, 2);
  assert.is(pteropus('help').status, 0);
  assert.is(pteropus('help sim').stdout, pteropus('sim --help').stdout);
  const { status, stderr } = pteropus('frobnicate');
  assert.is(status, 2);
  assert.match(stderr, /^pteropus: unknown verb "frobnicate"\n/);
});

test.run();
