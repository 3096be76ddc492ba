/** `pteropus vpp`: asks a running VPP, in its own words, and compares what two of them understand. */
import { readFileSync, writeFileSync } from 'node:fs';
import { loadNative } from '../../native/index.js';
import type { VppClient } from '../backends/vpp/api/client.js';
import { ApiSchemaError, VppRetvalError } from '../backends/vpp/api/errors.js';
import { generateTypes } from '../backends/vpp/api/generate.js';
import { toJson } from '../backends/vpp/api/json.js';
import { loadApiDir } from '../backends/vpp/api/load.js';
import { openVppClient } from '../backends/vpp/api/open.js';
import type { ApiSchema } from '../backends/vpp/api/schema.js';
import { USED_MESSAGES } from '../backends/vpp/api/used.js';
import { Stats } from '../backends/vpp/stats/stats.js';
import { commandOf, parseOptions, UsageError, wholeNumber } from '../common/command-line.js';
import { errorText } from '../common/errors.js';
import { call, parseFields } from './call.js';
import { compareSchemas, formatDifference } from './compare.js';
import { describeMessages, listMessages } from './messages.js';
import { formatStat, readStats } from './stats.js';

const HELP = `usage: pteropus vpp messages [PATTERN] [--fields] [--used]
       pteropus vpp call MESSAGE [JSON|-]
       pteropus vpp cli COMMAND...
       pteropus vpp diff [DIR_A] [DIR_B] [--all]
       pteropus vpp types [--out FILE]
       pteropus vpp stats [PATTERN] [--all]

messages  lists the messages whose name matches PATTERN (a regular expression): name, version (CRC), file. --fields adds their
          fields and types; --used lists only those Pteropus uses.
call      sends one message and prints the reply, or the details of a dump. The fields are a JSON object ("-": standard input);
          omitted fields take their defaults. Addresses are text, enums their symbol, flags a list of symbols, bytes "0x...",
          64-bit integers may be text. Exit code 1 if VPP refuses.
cli       runs a command of VPP's debug CLI. Exit code 1 if VPP refuses.
diff      shows which of the messages Pteropus uses (--all: of all messages) differ between two VPPs, and where. Each DIR is a
          folder of API files. Without DIR_B: DIR_A and the running VPP. Without both: the release Pteropus was built for and
          the running VPP. Exit code 1 if anything differs.
types     prints the TypeScript types of the messages Pteropus uses.
stats     prints the statistics whose name matches PATTERN, summed over VPP's threads, without those that are 0 (--all: with them).

--socket PATH    VPP's API socket (default /run/vpp/api.sock)
--stats PATH     VPP's statistics socket (default /run/vpp/stats.sock)
--api-dir DIR    folder of VPP's API files; with it, messages and types need no running VPP (default: found beside the running
                 VPP, otherwise asked of it)
--timeout MS     how long to wait for a reply (default 30000)
--json           print JSON
-h, --help       show this text
`;

/** A day. */
const MOST_TIMEOUT_MS = 86_400_000;

const OPTIONS = {
  socket: { type: 'string', default: '/run/vpp/api.sock' },
  stats: { type: 'string', default: '/run/vpp/stats.sock' },
  'api-dir': { type: 'string' },
  timeout: { type: 'string', default: '30000' },
  out: { type: 'string' },
  json: { type: 'boolean', default: false },
  fields: { type: 'boolean', default: false },
  used: { type: 'boolean', default: false },
  all: { type: 'boolean', default: false },
} as const;

/** With the least and most arguments they take. */
const COMMANDS = {
  messages: [0, 1],
  call: [1, 2],
  cli: [1, Number.POSITIVE_INFINITY],
  diff: [0, 2],
  types: [0, 0],
  stats: [0, 1],
} as const;

type Given = ReturnType<typeof parse>['values'];

const parse = (argv: readonly string[]) => parseOptions(argv, OPTIONS, true);

/** Exit codes: 0 fine, 1 VPP refused or something differs. Throws UsageError, and VppConnectError where there is no VPP. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(argv);
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const [command, ...rest] = commandOf(positionals, COMMANDS);
  const [first, second] = rest;
  switch (command) {
    case 'messages':
      return await messages(values, first);
    case 'call':
      return await callOne(values, first ?? '', second);
    case 'cli':
      return await cli(values, rest.join(' '));
    case 'diff':
      return await diff(values, first, second);
    case 'types':
      return await types(values);
    case 'stats':
      return await stats(values, first);
  }
}

/** Connects, for as long as `use` takes. Throws VppConnectError. */
async function withVpp<T>(given: Given, use: (vpp: VppClient) => Promise<T> | T): Promise<T> {
  const timeoutMilliseconds = wholeNumber('--timeout', given.timeout, 1, MOST_TIMEOUT_MS);
  const dir = given['api-dir'];
  const vpp = await openVppClient({
    socket: given.socket,
    name: 'pteropus vpp',
    timeoutMilliseconds,
    ...(dir === undefined ? {} : { apiDir: dir }),
  });
  try {
    return await use(vpp);
  } finally {
    await vpp.close();
  }
}

function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

async function stats(given: Given, pattern: string | undefined): Promise<number> {
  const segment = loadNative().openStats(given.stats);
  try {
    const lines = await readStats(new Stats(segment), patternOf(pattern), given.all);
    for (const line of lines) print(given.json ? JSON.stringify(line) : formatStat(line));
  } finally {
    segment.close();
  }
  return 0;
}

/** A folder named on the command line that cannot be read is a wrong command line. Throws UsageError. */
function apiDir(dir: string): ApiSchema {
  try {
    return loadApiDir(dir);
  } catch (cause) {
    if (cause instanceof ApiSchemaError) throw new UsageError(cause.message, { cause });
    throw cause;
  }
}

async function messages(given: Given, pattern: string | undefined): Promise<number> {
  const dir = given['api-dir'];
  const filter = { pattern: patternOf(pattern), used: given.used };
  const list = (schema: Parameters<typeof listMessages>[0], vpp?: VppClient) => {
    if (given.fields && !given.json) print(describeMessages(schema, filter));
    else {
      const rows = listMessages(schema, filter, vpp);
      if (given.json) print(JSON.stringify(rows));
      else
        for (const { name, crc, module, problem } of rows)
          print(`${name} ${crc} ${module}${problem === null ? '' : `  ${problem}`}`);
    }
    return 0;
  };
  if (dir !== undefined) return list(apiDir(dir));
  return await withVpp(given, (vpp) => list(vpp.codecs.schema, vpp));
}

function patternOf(pattern: string | undefined): RegExp {
  try {
    return new RegExp(pattern ?? '');
  } catch (error) {
    throw new UsageError(errorText(error), { field: 'PATTERN', value: pattern });
  }
}

/** A refusal is an answer. */
async function answered(act: Promise<void>): Promise<number> {
  try {
    await act;
    return 0;
  } catch (error) {
    if (!(error instanceof VppRetvalError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

async function callOne(given: Given, message: string, text: string | undefined): Promise<number> {
  const fields = parseFields(text === '-' ? readFileSync(0, 'utf8') : (text ?? '{}'));
  return await answered(
    withVpp(given, async (vpp) => {
      const answer = await call(vpp, message, fields);
      const lines = Array.isArray(answer) ? answer : [answer];
      for (const entry of lines) print(JSON.stringify(toJson(entry), null, given.json ? undefined : 2));
    }),
  );
}

async function cli(given: Given, command: string): Promise<number> {
  return await answered(
    withVpp(given, async (vpp) => {
      const text = await vpp.cli(command);
      print(given.json ? JSON.stringify({ command, reply: text }) : text);
    }),
  );
}

async function diff(given: Given, a: string | undefined, b: string | undefined): Promise<number> {
  const names = given.all ? null : USED_MESSAGES;
  const differences =
    a === undefined
      ? await withVpp(given, (vpp) => compareSchemas(null, vpp.codecs.schema, names))
      : b === undefined
        ? await withVpp(given, (vpp) => compareSchemas(apiDir(a), vpp.codecs.schema, names))
        : compareSchemas(apiDir(a), apiDir(b), names);
  if (given.json) print(JSON.stringify(differences));
  else for (const difference of differences) print(formatDifference(difference));
  return differences.length === 0 ? 0 : 1;
}

async function types(given: Given): Promise<number> {
  const dir = given['api-dir'];
  const schema = dir === undefined ? await withVpp(given, (vpp) => vpp.codecs.schema) : apiDir(dir);
  const text = generateTypes(schema, USED_MESSAGES);
  if (given.out === undefined) print(text);
  else writeFileSync(given.out, text);
  return 0;
}
