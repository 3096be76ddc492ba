/** How many messages a second go into VPP through our client, beside a bare loop over the same socket (bench/README.md). */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { VppClient } from '../control/backends/vpp/api/client.js';
import { openVppClient } from '../control/backends/vpp/api/open.js';
import { loadNative } from '../native/index.js';
import { makeNetns } from '../test/backends/xdp-rig.js';
import { root } from '../test/support/requires.js';
import { installedVpp, startVpp, vpp } from '../test/support/vpp.js';
import { benchOptions } from './options.js';
import { BareClient } from './peers/vpp-bare.js';
import { type Figures, figures, paired } from './statistics.js';
import { type Batch, LARGE_LIST, replacedList, type Workload, workloads } from './vpp-api-workloads.js';

const USAGE = `usage: npm run bench:vpp-api -- [--rounds N] [--scale X]

Starts a VPP (PTEROPUS_VPP_PREFIX, else /usr) and programs routes, NAT mappings, ACLs and CNAT translations, N rounds (31), each through
our client and by a bare loop that writes messages encoded beforehand. --scale X (1): that part of the messages. Figures go to
bench/results/vpp-api.json. Needs root; about a minute.`;

const RESULTS = fileURLToPath(new URL('../../../bench/results/vpp-api.json', import.meta.url));

const options = benchOptions(USAGE, {
  rounds: { type: 'string', default: '31' },
  scale: { type: 'string', default: '1' },
});
const [rounds, scale] = [Number(options.rounds), Number(options.scale)];

const missing = vpp() ?? root();
if (missing !== null) {
  process.stdout.write(`skipped: ${missing}\n`);
  process.exit(0);
}

/** Set in the process that has a core of its own. */
const PINNED = 'PTEROPUS_BENCH_PINNED';
const pinned = process.env[PINNED] !== undefined;
if (!pinned && cpus().length > 1) {
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const env = { ...process.env, [PINNED]: '1' };
  const { status, error } = spawnSync('taskset', ['--cpu-list', '1', ...self], { stdio: 'inherit', env });
  if (error === undefined) process.exit(status ?? 1);
}

/** Rates of both sides, round by round. */
class Rates {
  readonly #ours: number[] = [];
  readonly #bare: number[] = [];

  note(side: 'ours' | 'bare', rate: number, counts: boolean): void {
    if (counts) (side === 'ours' ? this.#ours : this.#bare).push(rate);
  }

  measured(name: string, { message, list }: Batch): Measured {
    const [ours, bare] = [figures(this.#ours), figures(this.#bare)];
    const ratio = figures(paired(this.#ours, this.#bare, (a, b) => a / b));
    return { name, message, messages: list.length, ours, bare, ratio, best: ours.max / bare.max };
  }
}

interface Measured {
  readonly name: string;
  readonly message: string;
  readonly messages: number;
  /** Messages a second. */
  readonly ours: Figures;
  readonly bare: Figures;
  /** Ours to bare, of the same round. */
  readonly ratio: Figures;
  /** Ours to bare, of each side's fastest round: what the others on the machine took the least from. */
  readonly best: number;
}

const native = loadNative();
const netns = makeNetns(native);
// Without links there is nothing to poll, and nothing VPP must sleep for between two looks at its socket.
// The kernel would rather have both on one core, as one wakes the other.
const cores = pinned ? 'cpu { main-core 0 }\n' : '';
const running = await startVpp(netns.path, installedVpp(), `\nunix { poll-sleep-usec 0 }\n${cores}`);
try {
  const client = await openVppClient({
    socket: running.paths.apiSocket,
    name: 'ours',
    apiDir: installedVpp().apiDir,
  });
  const bare = await BareClient.connect(running.paths.apiSocket);
  const loop = await prepare(client);
  const results: Measured[] = [];
  for (const workload of workloads(loop, scale)) results.push(...(await measure(client, bare, workload)));
  const { acl_index } = await client.request('acl_add_replace', LARGE_LIST);
  await client.request('acl_interface_set_acl_list', {
    sw_if_index: loop,
    n_input: 1,
    acls: [acl_index ?? 0],
  });
  results.push(...(await measure(client, bare, replacedList(Number(acl_index)))));
  bare.close();
  const vppVersion = client.version;
  await client.close();
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    pinned,
    kernel: release(),
    load: loadavg(),
  };
  mkdirSync(dirname(RESULTS), { recursive: true });
  writeFileSync(
    RESULTS,
    `${JSON.stringify({ vpp: vppVersion, node: process.version, rounds, scale, machine, results }, null, 1)}\n`,
  );
} finally {
  await running.close();
  native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
  netns.close();
}
process.exit(0);

/** Both sides in turns; prints a line for each batch. */
async function measure(
  client: VppClient,
  bare: BareClient,
  { name, batches }: Workload,
): Promise<readonly Measured[]> {
  const lines = batches.map((batch) => ({
    batch,
    rates: new Rates(),
    encoded: bare.encode(client.codecs.get(batch.message), batch.list),
  }));
  // The first round warms both and is not counted.
  for (let round = -1; round < rounds; round++) {
    for (const side of round % 2 === 0 ? (['ours', 'bare'] as const) : (['bare', 'ours'] as const)) {
      for (const { batch, rates, encoded } of lines) {
        const began = performance.now();
        if (side === 'ours') await through(client, batch);
        else await bare.send(encoded);
        rates.note(side, (1000 * batch.list.length) / (performance.now() - began), round >= 0);
      }
    }
  }
  return lines.flatMap(({ batch, rates }) => {
    if (!batch.measured) return [];
    const measured = rates.measured(`${name}: ${batch.label}`, batch);
    process.stdout.write(`${line(measured)}\n`);
    return [measured];
  });
}

/** Every request is made at once, as the engine makes a wave; all replies are read and have retval 0, or this throws. */
async function through(client: VppClient, { message, list }: Batch): Promise<void> {
  await Promise.all(list.map((fields) => client.request(message, fields)));
}

/** Returns the index of a loopback that is up. */
async function prepare(client: VppClient): Promise<number> {
  const { sw_if_index: loop } = await client.request('create_loopback_instance', {});
  await client.request('sw_interface_set_flags', {
    sw_if_index: loop ?? 0,
    flags: ['IF_STATUS_API_FLAG_ADMIN_UP'],
  });
  await client.request('sw_interface_add_del_address', {
    is_add: true,
    sw_if_index: loop ?? 0,
    prefix: '10.1.1.1/24',
  });
  await client.request('nat44_ed_plugin_enable_disable', { enable: true, sessions: 10_240 });
  return Number(loop);
}

function line({ name, messages, ours, bare, ratio, best }: Measured): string {
  const rate = (perSecond: number) => `${(perSecond / 1000).toFixed(1)}k/s`.padStart(9);
  const ratios = `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)}), of the best ${best.toFixed(2)}`;
  return `${name.padEnd(34)}${String(messages).padStart(5)}  ours${rate(ours.median)}  bare${rate(bare.median)}  ratio ${ratios}`;
}
