/** `pteropus node`: makes a node ready for agent and data plane, and asks the agent how it is. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseRestConfig } from '../agent/http/rest-config.js';
import { InstallError, installExecutable } from '../cni/install.js';
import { isMapping } from '../cni/mapping.js';
import { commandOf, parseOptions, required } from '../common/command-line.js';
import { errorText, InvalidInputError } from '../common/errors.js';
import { readJsonFile } from '../common/json-file.js';
import { collect } from '../vswitch/preflight/run.js';
import { checkNode, checkVppNode, type Findings } from './checks.js';
import { readFacts } from './facts.js';
import { checkOverlaps } from './overlaps.js';
import { probe } from './probe.js';
import { fillAddress, type Rendered, renderAgentConfig } from './render.js';

const HELP = `usage: pteropus node check   --settings FILE --cluster FILE
       pteropus node prepare --settings FILE --cluster FILE --out FILE
       pteropus node fill    --settings FILE --out FILE
       pteropus node probe   --config FILE PATH

check     says what this node lacks, one line each, and changes nothing. Exit code 1 if anything is missing.
prepare   does the same; if nothing is missing, it writes the node's agent configuration to --out and copies the CNI executable
          to cniBinDir.
fill      writes another program's configuration (ksr's) with $ADDRESS replaced.
probe     asks the program that runs with --config for PATH (/healthz, /readyz), with its certificate if it requires one.
          Exit code 1 unless the answer is 200.

--settings is the agent's configuration without node and cluster (pteropus agent --help), plus two fields: uplinks
({"NODE": "LINK"}), for nodes whose link to the underlay has another name, and underlayAddresses ({"NODE": ["ADDRESS"]}), for
a cluster without nodeInterconnectCIDR. In rest.listen, $ADDRESS stands for the node's address.
--cluster is the cluster configuration. The node's name is taken from $NODE_NAME, its addresses from $HOST_IPS
(comma-separated).
`;

/** Where the container runtime looks when the settings do not say. */
const CONF_DIR = '/etc/cni/net.d';

/** With the least and most arguments beside the options. */
const COMMANDS = { check: [0, 0], prepare: [0, 0], fill: [0, 0], probe: [1, 1] } as const;

/** Exit codes: 0 fine, 1 something is missing or not well. Throws UsageError, InvalidInputError, InstallError. */
export async function run(argv: readonly string[]): Promise<number> {
  const text = { type: 'string' } as const;
  const options = { settings: text, cluster: text, out: text, config: text };
  const { values, positionals } = parseOptions(argv, options, true);
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const { settings, cluster, out, config } = values;
  const [command, path = ''] = commandOf(positionals, COMMANDS);
  switch (command) {
    case 'probe':
      return await ask(required('--config', config), path);
    case 'fill': {
      const from = required('--settings', settings);
      const to = required('--out', out);
      writeWhole(to, fillAddress(readJsonFile(from), { addresses: hostAddresses() }, from));
      return 0;
    }
    case 'check':
      return report(await check(render(required('--settings', settings), required('--cluster', cluster))));
    case 'prepare': {
      const to = required('--out', out);
      return await prepare(render(required('--settings', settings), required('--cluster', cluster)), to);
    }
  }
}

function render(settings: string, cluster: string): Rendered {
  const { NODE_NAME: name = '' } = process.env;
  if (name === '') throw new InvalidInputError('is not set', { object: 'NODE_NAME' });
  const node = { name, addresses: hostAddresses() };
  return renderAgentConfig(readJsonFile(settings), readJsonFile(cluster), node, settings);
}

function hostAddresses(): readonly string[] {
  return (process.env['HOST_IPS'] ?? '').split(',').filter((address) => address !== '');
}

/** Readers find the old file or the new one. */
function writeWhole(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new InstallError(`cannot be written: ${errorText(cause)}`, { object: path, cause });
  }
}

async function check({ config }: Rendered): Promise<Findings> {
  const confDir = config.cniConfDir ?? CONF_DIR;
  const { uplink, podFeed, cluster, vpp } = config;
  const facts = readFacts(confDir);
  const { problems, remarks } =
    vpp !== null
      ? checkVppNode(await collect(config, vpp), facts, confDir)
      : checkNode(facts, { uplink, podFeed, confDir, underlayMtu: cluster.underlayMtu });
  const overlaps = checkOverlaps(facts, cluster);
  return {
    problems: [...problems, ...overlaps.problems],
    remarks: [...remarks, ...overlaps.remarks],
  };
}

/** Standard error is what the kubelet shows of an init container that failed. */
function report({ problems, remarks }: Findings): number {
  for (const line of remarks) process.stderr.write(`note: ${line}\n`);
  for (const line of problems) process.stderr.write(`missing: ${line}\n`);
  return problems.length === 0 ? 0 : 1;
}

async function prepare(rendered: Rendered, out: string): Promise<number> {
  const code = report(await check(rendered));
  if (code !== 0) return code;
  writeWhole(out, rendered.text);
  const { cniBinDir } = rendered.config;
  if (cniBinDir !== null) process.stdout.write(`${installExecutable(cniBinDir)}\n`);
  process.stdout.write(`${out}\n`);
  return 0;
}

async function ask(config: string, path: string): Promise<number> {
  const settings = readJsonFile(config);
  const rest = isMapping(settings) ? parseRestConfig(settings['rest'], config) : null;
  if (rest === null)
    throw new InvalidInputError('there is nothing to ask', { object: config, field: 'rest' });
  const { status, text } = await probe(rest, path);
  process.stdout.write(`${text}\n`);
  return status === 200 ? 0 : 1;
}
