/** How long a fresh VPP takes to be filled, and an agent that comes back to take everything up (bench/README.md). */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openVppApi } from '../control/backends/vpp/api/open.js';
import { type OpenedVppBackend, openOver } from '../control/backends/vpp/open.js';
import { DEFAULT_OPTIONS } from '../control/backends/vpp/options.js';
import { DESCRIPTORS, renderersOf } from '../control/backends/vpp/registry.js';
import { Random } from '../control/oracle/random.js';
import type { Change, Item } from '../control/ruleset/types.js';
import { loadNative } from '../native/index.js';
import * as items from '../test/backends/items.js';
import { makeLink, makeNetns } from '../test/backends/xdp-rig.js';
import { countingApi } from '../test/support/counting-api.js';
import { installedVpp, startVpp } from '../test/support/vpp.js';
import { benchOptions } from './options.js';
import { figures } from './statistics.js';

const USAGE = `usage: npm run bench:vpp-fill -- [--services N] [--policies N] [--pods N] [--rounds N]

Starts a VPP (PTEROPUS_VPP_PREFIX, else /usr), fills it with a node's links, N pods (10), N services (1000) and N policies (1000),
takes it all up with a second backend, and changes single items. Figures go to bench/results/vpp-fill.json. Needs root.`;

const RESULTS = fileURLToPath(new URL('../../../bench/results/vpp-fill.json', import.meta.url));
const SINGLE_CHANGES = 50;
const LOOKS = 20;

const options = benchOptions(USAGE, {
  services: { type: 'string', default: '1000' },
  policies: { type: 'string', default: '1000' },
  pods: { type: 'string', default: '10' },
  rounds: { type: 'string', default: '5' },
});
const [services, policies, pods, rounds] = [
  options.services,
  options.policies,
  options.pods,
  options.rounds,
].map(Number) as [number, number, number, number];

/** Each selects pods by two sets, allows one of them two ports, the other one more. */
function policyItems(count: number, random: Random): Item[] {
  return Array.from({ length: count }, (_, i): Item[] => {
    const addresses = () => random.times(5, () => `10.1.${random.below(200)}.${2 + random.below(250)}`);
    const [friends, others] = [
      items.addressSet(`f${i}`, addresses()),
      items.addressSet(`o${i}`, addresses()),
    ];
    const rules = [
      items.allow(`p${i}`, [friends.key], [items.port('TCP', 80), items.port('TCP', 443)]),
      items.allow(`p${i}`, [others.key], [items.port('UDP', 53)]),
    ];
    return [friends, others, items.policy(`p${i}`, i % 2 === 0 ? 'ingress' : 'egress', rules)];
  }).flat();
}

function serviceItems(count: number, random: Random): Item[] {
  return Array.from({ length: count }, (_, i) => {
    const address = `10.96.${i >> 8}.${i & 255}`;
    const backends = random.times(
      3,
      (k) => `10.1.${random.below(200)}.${2 + k * 80 + random.below(80)}:8080`,
    );
    const frontends = [{ address, port: 80, type: 'ClusterIP' as const }];
    return items.service(`s${i}`, { frontends, backends: [...new Set(backends)] });
  });
}

function podItems(count: number, policyCount: number): Item[] {
  return Array.from({ length: count }, (_, i) =>
    items.podItems(1, i + 1, `w${i}`).map((item): Item => {
      if (item.kind === 'interface') {
        return { ...item, peerMac: `02:00:00:00:11:${i.toString(16).padStart(2, '0')}` };
      }
      if (item.kind !== 'endpoint' || policyCount < 2) return item;
      return {
        ...item,
        ingress: `policy/p${(2 * i) % policyCount}`,
        egress: `policy/p${(2 * i + 1) % policyCount}`,
      };
    }),
  ).flat();
}

const add = (item: Item): Change => ({ type: 'add', key: item.key, item });

async function apply(backend: OpenedVppBackend, changes: readonly Change[]): Promise<number> {
  const began = performance.now();
  const results = await backend.apply(changes);
  const took = performance.now() - began;
  const wrong = results.find(({ error }) => error !== null);
  if (wrong !== undefined) throw new Error(`${wrong.key}: ${wrong.error?.message}`);
  return took;
}

/** Milliseconds of a core. */
interface Cpu {
  readonly ours: number;
  readonly vpp: number;
}

interface Round {
  /** Its version. */
  readonly vpp: string;
  /** Milliseconds, of the transaction with all services and policies. */
  readonly fill: number;
  /** On a busy machine the clock shows others' work too. */
  readonly fillCpu: Cpu;
  readonly fillMessages: number;
  /** Milliseconds from a connection to all items read back. */
  readonly adopt: number;
  readonly adoptCpu: Cpu;
  readonly adoptMessages: number;
  readonly adoptChanging: number;
  /** Milliseconds of reading and comparing everything again, and of the look that is taken in between. */
  readonly resync: readonly number[];
  readonly look: readonly number[];
  readonly lookCpu: Cpu;
  readonly resyncCpu: Cpu;
  /** Milliseconds of each transaction with one new set of backends, and with one more address in a set. */
  readonly service: readonly number[];
  readonly addressSet: readonly number[];
}

async function round(seed: number): Promise<Round> {
  const native = loadNative();
  const netns = makeNetns(native);
  const folder = mkdtempSync(join(tmpdir(), 'pteropus-bench-'));
  const install = installedVpp();
  const vpp = await startVpp(netns.path, install);
  const open = async () => {
    const api = countingApi(
      await openVppApi({ socket: vpp.paths.apiSocket, apiDir: install.apiDir, name: 'bench' }),
    );
    const backend = await openOver(api, {
      ...{ options: DEFAULT_OPTIONS, renderers: renderersOf(DEFAULT_OPTIONS), descriptors: DESCRIPTORS },
      ...{ observer: { counters: unused, trace: unused, close: async () => undefined } },
      ...{ keepFile: join(folder, 'items'), log: (line: string) => process.stderr.write(`${line}\n`) },
    });
    return { backend, api };
  };
  try {
    for (const link of [items.uplinkLink(1), items.hostLink(1)]) makeLink(netns, link);
    for (let i = 0; i < pods; i++) makeLink(netns, items.podLink(1, `w${i}`));
    const random = new Random(seed);
    const first = await open();
    const rules = policyItems(policies, random);
    const all = [...rules, ...serviceItems(services, random)];
    const node = [...items.nodeItems(1), ...podItems(pods, 0)];
    await apply(first.backend, node.map(add));
    const before = first.api.sent;
    const judged = podItems(pods, policies).filter(({ kind }) => kind === 'endpoint');
    const fillCpu = cpuSince(vpp.pid);
    const fill = await apply(first.backend, [...all, ...judged].map(add));
    fillCpu.stop();
    const fillMessages = first.api.sent - before;
    const service: number[] = [];
    const addressSet: number[] = [];
    for (let i = 0; i < SINGLE_CHANGES; i++) {
      const old = all.find(({ key }) => key === `service/shop/s${i}/TCP/80/internal`);
      if (old?.kind === 'service') {
        const item = { ...old, backends: old.backends.slice(1) };
        service.push(await apply(first.backend, [{ type: 'update', key: old.key, old, item }]));
      }
      const set = all.find(({ key }) => key === `addressset/f${i}`);
      if (set?.kind === 'addressset') {
        const item = { ...set, addresses: [...set.addresses, '10.1.250.250'].sort() };
        addressSet.push(await apply(first.backend, [{ type: 'update', key: set.key, old: set, item }]));
      }
    }
    const resync: number[] = [];
    const resyncCpu = cpuSince(vpp.pid);
    for (let i = 0; i < LOOKS; i++) resync.push(await timed(() => first.backend.dump()));
    resyncCpu.stop();
    const look: number[] = [];
    const lookCpu = cpuSince(vpp.pid);
    for (let i = 0; i < LOOKS; i++) look.push(await timed(() => first.backend.look()));
    lookCpu.stop();
    const total = (await first.backend.dump()).size;
    await first.backend.close();
    const adoptCpu = cpuSince(vpp.pid);
    const began = performance.now();
    const second = await open();
    const found = (await second.backend.dump()).size;
    const adopt = performance.now() - began;
    adoptCpu.stop();
    if (found !== total || total !== node.length + all.length) throw new Error(`${found} of ${total} items`);
    const { sent: adoptMessages, changes } = second.api;
    const adoptChanging = changes.length;
    await second.backend.close();
    return {
      vpp: first.api.version,
      fill,
      fillCpu: fillCpu.used,
      fillMessages,
      adopt,
      adoptCpu: adoptCpu.used,
      adoptMessages,
      adoptChanging,
      ...{ resync, look },
      resyncCpu: each(resyncCpu.used),
      lookCpu: each(lookCpu.used),
      service,
      addressSet,
    };
  } finally {
    await vpp.close();
    rmSync(folder, { recursive: true });
    native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
    netns.close();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

const each = ({ ours, vpp }: Cpu): Cpu => ({ ours: ours / LOOKS, vpp: vpp / LOOKS });

/** Milliseconds of a core a process has used (proc(5), fields 14 and 15, in hundredths of a second). */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Counts from now until `stop`. */
function cpuSince(pid: number): { readonly used: Cpu; stop(): void } {
  const [ours, theirs] = [process.cpuUsage(), cpuOf(pid)];
  const used = { ours: 0, vpp: 0 };
  const stop = (): void => {
    const { user, system } = process.cpuUsage(ours);
    used.ours = (user + system) / 1000;
    used.vpp = cpuOf(pid) - theirs;
  };
  return { used, stop };
}

const unused = (): Promise<never> => Promise.reject(new Error('not used here'));

const measured: Round[] = [];
for (let i = 0; i < rounds; i++) measured.push(await round(i + 1));
const of = (pick: (one: Round) => readonly number[]) => figures(measured.flatMap(pick));
const summary = {
  ...{ vpp: measured[0]?.vpp, services, policies, pods, load: loadavg()[0] },
  fillMs: of(({ fill }) => [fill]),
  fillCpuMs: { ours: of(({ fillCpu }) => [fillCpu.ours]), vpp: of(({ fillCpu }) => [fillCpu.vpp]) },
  fillMessages: measured[0]?.fillMessages,
  adoptMs: of(({ adopt }) => [adopt]),
  adoptCpuMs: { ours: of(({ adoptCpu }) => [adoptCpu.ours]), vpp: of(({ adoptCpu }) => [adoptCpu.vpp]) },
  adoptMessages: measured[0]?.adoptMessages,
  adoptChanging: measured.reduce((sum, { adoptChanging }) => sum + adoptChanging, 0),
  resyncMs: of(({ resync }) => resync),
  resyncCpuMs: { ours: of(({ resyncCpu }) => [resyncCpu.ours]), vpp: of(({ resyncCpu }) => [resyncCpu.vpp]) },
  lookMs: of(({ look }) => look),
  lookCpuMs: { ours: of(({ lookCpu }) => [lookCpu.ours]), vpp: of(({ lookCpu }) => [lookCpu.vpp]) },
  serviceMs: of(({ service }) => service),
  addressSetMs: of(({ addressSet }) => addressSet),
};
const text = (name: string, { min, median, max }: ReturnType<typeof figures>): string =>
  `${name.padEnd(58)} ${median.toFixed(1).padStart(8)} ms  (${min.toFixed(1)} - ${max.toFixed(1)})\n`;
process.stdout.write(
  text(`${services} services + ${policies} policies on a fresh VPP`, summary.fillMs) +
    text('  of a core: ours', summary.fillCpuMs.ours) +
    text('  of a core: VPP’s', summary.fillCpuMs.vpp) +
    text('taken up by a second backend', summary.adoptMs) +
    text('  of a core: ours', summary.adoptCpuMs.ours) +
    text('  of a core: VPP’s', summary.adoptCpuMs.vpp) +
    text('everything read and compared again', summary.resyncMs) +
    text('  of a core: ours', summary.resyncCpuMs.ours) +
    text('  of a core: VPP’s', summary.resyncCpuMs.vpp) +
    text('a look at what judges and checks pods', summary.lookMs) +
    text('  of a core: ours', summary.lookCpuMs.ours) +
    text('  of a core: VPP’s', summary.lookCpuMs.vpp) +
    text('one service changed', summary.serviceMs) +
    text('one address more in a set', summary.addressSetMs) +
    `messages: ${summary.fillMessages} to fill; ${summary.adoptMessages} to take up, ${summary.adoptChanging} of them change something\n`,
);
mkdirSync(dirname(RESULTS), { recursive: true });
writeFileSync(RESULTS, `${JSON.stringify({ ...summary, rounds: measured }, null, 1)}\n`);
