/** What a CNI case is, and the cases that need no agent. Each is (environment, standard input) -> (exit code, standard output). */
import { CNI } from '../../control/cni/codes.js';

export type Environment = Readonly<Record<string, string>>;

export interface Step {
  readonly env: Environment;
  readonly stdin: unknown;
}

export interface Case extends Step {
  readonly name: string;
  /** Commands before it, which must succeed. */
  readonly before?: readonly Step[];
  /** 0, or the code of an error (whose exit code is 1). */
  readonly code: number;
  /** '' = nothing; a pattern of the error's text; or the whole result. */
  readonly answer: '' | RegExp | object;
  /** cniVersion of the error (default: the configuration's, where it has a good one). */
  readonly version?: string;
}

/** All a sandbox's command needs. */
export const ENV: Environment = {
  CNI_CONTAINERID: 'abc-123_x.y',
  CNI_NETNS: '/run/netns/x',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u1',
};

export const VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export const NEWEST = '1.1.0';
const BARE: Environment = { CNI_PATH: '/opt/cni/bin' };

/** `conf` without a socket: the runner puts in where the agent is. */
export function conf(cniVersion = '1.0.0', change: object = {}): Record<string, unknown> {
  return { cniVersion, name: 'net', type: 'pteropus', ...change };
}

export function step(command: string, stdin: unknown = conf(), env: Environment = ENV): Step {
  return { env: { ...env, CNI_COMMAND: command }, stdin };
}

function missing(name: string, env: Environment, names: string): Case {
  const answer = new RegExp(`required env variables \\[${names}\\] missing`);
  return { name, env, stdin: conf(), code: CNI.invalidEnvironment, answer, version: NEWEST };
}

function undecodable(name: string, stdin: unknown): Case {
  return { name, ...step('ADD', stdin), code: CNI.decodingFailure, answer: /JSON/, version: NEWEST };
}

function unsupported(name: string, cniVersion: unknown, answer: RegExp): Case {
  const stdin = conf('', { cniVersion });
  return { name, ...step('ADD', stdin), code: CNI.incompatibleVersion, answer, version: NEWEST };
}

const versions = { cniVersion: NEWEST, supportedVersions: [...VERSIONS] };

/** Answered by the executable alone. */
export const ALONE: readonly Case[] = [
  { name: 'VERSION', env: { CNI_COMMAND: 'VERSION' }, stdin: '', code: 0, answer: versions },
  { name: 'VERSION reads nothing', env: { CNI_COMMAND: 'VERSION' }, stdin: 'x', code: 0, answer: versions },
  missing('nothing at all', {}, 'CNI_COMMAND,CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH'),
  missing('no command', { ...ENV, CNI_COMMAND: '' }, 'CNI_COMMAND'),
  missing('ADD of nothing', { CNI_COMMAND: 'ADD' }, 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH'),
  missing('ADD without namespace', { ...ENV, CNI_COMMAND: 'ADD', CNI_NETNS: '' }, 'CNI_NETNS'),
  missing('CHECK', { CNI_COMMAND: 'CHECK', CNI_IFNAME: 'eth0' }, 'CNI_CONTAINERID,CNI_NETNS,CNI_PATH'),
  missing('DEL of nothing', { CNI_COMMAND: 'DEL' }, 'CNI_CONTAINERID,CNI_IFNAME,CNI_PATH'),
  missing('DEL without path', { ...ENV, CNI_COMMAND: 'DEL', CNI_PATH: '' }, 'CNI_PATH'),
  missing('STATUS', { CNI_COMMAND: 'STATUS' }, 'CNI_PATH'),
  missing('GC', { CNI_COMMAND: 'GC' }, 'CNI_PATH'),
  ...['MEND', 'add', 'ADD '].map((command): Case => {
    const answer = new RegExp(`unknown CNI_COMMAND: ${command}`);
    return {
      name: `command ${command}`,
      ...step(command),
      code: CNI.invalidEnvironment,
      answer,
      version: NEWEST,
    };
  }),
  undecodable('no configuration', ''),
  undecodable('white space only', ' \n'),
  undecodable('cut off', '{"cniVersion":"1.0.0","name":'),
  undecodable('a list', '[]'),
  undecodable('null', 'null'),
  undecodable('a text', '"1.0.0"'),
  undecodable('two objects', '{"cniVersion":"1.0.0"}{}'),
  undecodable('a comma too many', '{"cniVersion":"1.0.0",}'),
  undecodable('single quotes', "{'cniVersion':'1.0.0'}"),
  undecodable('not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])),
  undecodable('a zero byte', '{"cniVersion":"1.0.0"\0}'),
  undecodable('deep nesting', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
  { ...undecodable('too large', `{"a":"${'x'.repeat(4 << 20)}"}`), answer: /larger than 3 MiB/ },
  unsupported(
    'no version',
    undefined,
    /"0\.1\.0" is not supported; supported are 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/,
  ),
  unsupported('version null', null, /"0\.1\.0" is not supported/),
  unsupported('version 0.2.0', '0.2.0', /"0\.2\.0" is not supported/),
  unsupported('version 0.3.0', '0.3.0', /"0\.3\.0" is not supported/),
  unsupported('version 2.0.0', '2.0.0', /"2\.0\.0" is not supported/),
  unsupported('version with a quote', '1"', /"1\\"" is not supported/),
  unsupported('version 1', 1, /of another type than text/),
  ...[
    ['socket relative', { socket: 'here' }, /socket must be/],
    ['socket too long', { socket: `/${'x'.repeat(107)}` }, /socket must be/],
    ['socket no text', { socket: 5 }, /socket must be/],
    ['timeout as text', { timeoutMs: '5' }, /timeoutMs must be/],
    ['timeout 0', { timeoutMs: 0 }, /timeoutMs must be/],
    ['timeout half', { timeoutMs: 1.5 }, /timeoutMs must be/],
    ['timeout of a day', { timeoutMs: 86_400_000 }, /timeoutMs must be/],
  ].map(([name, change, answer]): Case => {
    const stdin = conf('0.4.0', change as object);
    return {
      name: name as string,
      ...step('ADD', stdin),
      code: CNI.invalidConfig,
      answer: answer as RegExp,
      version: '0.4.0',
    };
  }),
  ...['ADD', 'CHECK', 'GC', 'STATUS'].map((command): Case => {
    const stdin = conf(NEWEST, { socket: '/run/pteropus-nobody/cni.sock', prevResult: {}, timeoutMs: 300 });
    const code = command === 'STATUS' ? CNI.unavailable : CNI.tryAgainLater;
    const answer = /cannot be reached at \/run\/pteropus-nobody\/cni\.sock: No such file/;
    return { name: `${command} without an agent`, ...step(command, stdin), code, answer, version: NEWEST };
  }),
  ...['', '/run/netns/never', '/etc/hostname', '/proc/self/ns/net'].map((netns): Case => {
    const stdin = conf(NEWEST, { socket: '/run/pteropus-nobody/cni.sock' });
    const step_ = step('DEL', stdin, { ...ENV, CNI_NETNS: netns });
    return { name: `DEL without an agent, namespace '${netns}'`, ...step_, code: 0, answer: '' };
  }),
];

export const STATUS_ENV = BARE;
