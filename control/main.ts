/** `pteropus VERB`: one program for everything; each verb is a folder with a `main.ts`. */
import { UsageError } from './common/command-line.js';
import { errorText, InvalidInputError, PteropusError } from './common/errors.js';
import { followPipes } from './common/pipes.js';
import { packageVersion } from './common/version.js';

type Program = { readonly run: (argv: readonly string[]) => Promise<number> };

const VERBS: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Program> }>> = {
  sim: { summary: 'run a whole cluster on this machine', load: () => import('./sim/main.js') },
  explain: {
    summary: 'say whether a connection is allowed, and which rule decides',
    load: () => import('./explain/main.js'),
  },
  matrix: {
    summary: 'show who can reach whom, and check it against expectations',
    load: () => import('./matrix/main.js'),
  },
  diff: {
    summary: 'show what a change of policies opens and closes',
    load: () => import('./diff/main.js'),
  },
  ksr: { summary: 'reflect the Kubernetes API into the store', load: () => import('./ksr/main.js') },
  agent: { summary: 'run the agent of a node', load: () => import('./agent/main.js') },
  dataplane: {
    summary: 'run the WebAssembly data plane of a node',
    load: () => import('./dataplane/main.js'),
  },
  vswitch: {
    summary: 'run VPP and the agent of a node, or check what the machine lacks for VPP',
    load: () => import('./vswitch/main.js'),
  },
  vpp: {
    summary: "call VPP's API by hand, compare the APIs of two releases",
    load: () => import('./vpp/main.js'),
  },
  cni: {
    summary: 'install or remove the CNI executable and its configuration',
    load: () => import('./cni/main.js'),
  },
  node: {
    summary: "check and prepare a node, probe its agent's health",
    load: () => import('./node/main.js'),
  },
};

/** They run until told to end, and traffic depends on them. */
const SERVERS: readonly string[] = ['ksr', 'agent', 'dataplane', 'vswitch'];

function usage(): string {
  const lines = Object.entries(VERBS).map(([verb, { summary }]) => `  ${verb.padEnd(12)}${summary}`);
  return [
    'usage: pteropus VERB [options]',
    '',
    ...lines,
    '',
    "'pteropus VERB --help' says more, 'pteropus --version' prints the version.",
  ].join('\n');
}

/** Exit codes: 0 fine, 1 the answer is no (a check failed), 2 wrong usage or input, 3 something broke. */
export async function main(argv: readonly string[]): Promise<number> {
  const [first, ...given] = argv;
  // `help VERB` is `VERB --help`.
  const [verb, rest] = first === 'help' && given.length > 0 ? [given[0], ['--help']] : [first, given];
  followPipes(SERVERS.includes(verb ?? ''));
  if (verb === '--version' || verb === '-V' || verb === 'version') {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') {
    process.stdout.write(`${usage()}\n`);
    return verb === undefined ? 2 : 0;
  }
  const entry = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (entry === undefined) {
    process.stderr.write(`pteropus: unknown verb ${JSON.stringify(verb)}\n${usage()}\n`);
    return 2;
  }
  try {
    return await (await entry.load()).run(rest);
  } catch (error) {
    const known = error instanceof PteropusError;
    const text = known ? errorText(error) : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`pteropus ${verb}: ${text}\n`);
    if (error instanceof UsageError) process.stderr.write(`See 'pteropus ${verb} --help'.\n`);
    return error instanceof InvalidInputError ? 2 : 3;
  }
}
