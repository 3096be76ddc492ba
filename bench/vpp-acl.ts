/** What the access lists of 1,000 policies cost in VPP: ours, and a rule for each (peer, port) pair (bench/README.md). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AclRule, aclRule } from '../control/backends/vpp/policies/acl-rules.js';
import type { PolicyItem } from '../control/ruleset/types.js';
import { installedVpp } from '../test/support/vpp.js';
import { benchOptions } from './options.js';
import { type Figures, figures } from './statistics.js';
import { AclMeter } from './vpp-acl-meter.js';
import {
  addressRules,
  masksOf,
  nodePairRules,
  ourIngress,
  POLICIES,
  pairRules,
  workload,
} from './vpp-acl-workload.js';

const USAGE = `usage: npm run bench:vpp-acl -- [--flows N] [--rounds N] [--dry]

Clocks a packet in VPP's node of access lists. Needs root and a VPP (PTEROPUS_VPP_PREFIX, else /usr). Figures go to
bench/results/vpp-acl.json, but not with --dry.`;

const RESULTS = fileURLToPath(new URL('../../../bench/results/vpp-acl.json', import.meta.url));
/** Of the list of the whole node. */
const NODE_RULES = 10_000;
/** A measurement is short, so that some are not interrupted by others on the machine. */
const REPEATS = 25;

/** An opening makes sessions, which the next one must not find: it is repeated with other ports, and less often. */
const OPENINGS = 8;
/**
 * Connections of a cluster, by the packets that the opener sends: four of five are short (Benson et al., Network Traffic Characteristics of
 * Data Centers in the Wild, IMC 2010: 80 % of the flows are smaller than 10 KB), and most packets are of a few long ones.
 */
const MIX: readonly { readonly share: number; readonly packets: number }[] = [
  { share: 0.4, packets: 4 },
  { share: 0.4, packets: 10 },
  { share: 0.15, packets: 40 },
  { share: 0.05, packets: 400 },
];

const options = benchOptions(USAGE, {
  flows: { type: 'string', default: '5000' },
  rounds: { type: 'string', default: '6' },
  dry: { type: 'boolean', default: false },
});
const [flows, rounds] = [Number(options.flows), Number(options.rounds)];
const load = workload(flows);
const policy = load.ruleset.get(load.endpoint.ingress ?? '') as PolicyItem;
const ours = ourIngress(load.ruleset, load.endpoint);
const cases: ReadonlyMap<string, readonly AclRule[]> = new Map([
  ['ours', ours],
  ['pairs', pairRules(load.ruleset, policy, '0.0.0.0/0')],
  ['pairs of the node', nodePairRules(load, NODE_RULES)],
  ['addresses alone', addressRules(ours)],
  // What the node costs when there is as good as nothing to look up.
  ['one rule', [aclRule('reflect', 4)]],
]);

interface Clocks {
  /** The first packet of an allowed connection, looked up and nothing else; and one that is denied. */
  readonly lookup: number[];
  readonly denied: number[];
  /** The first packet with its session made; and a later one, which finds it. */
  readonly opening: number[];
  readonly later: number[];
  /** Milliseconds to bring the list into force, in place of another. */
  readonly apply: number[];
  tables: number;
}

const clocks = new Map<string, Clocks>();
for (const name of cases.keys())
  clocks.set(name, { lookup: [], denied: [], opening: [], later: [], apply: [], tables: 0 });
const meter = await AclMeter.open(load.address);
try {
  // The first round grows VPP's tables, and counts for nothing.
  for (let round = 0; round <= rounds; round++) {
    for (const [name, rules] of cases) {
      const of = round === 0 ? undefined : clocks.get(name);
      const apply = await meter.bring(rules, false);
      of?.apply.push(apply);
      const ports = meter.freshPorts();
      const lookup = await meter.measure(load.allowed, ports, REPEATS);
      of?.lookup.push(...lookup);
      const denied = await meter.measure(load.denied, ports, REPEATS);
      of?.denied.push(...denied);
      if (of !== undefined) of.tables = await meter.tables();
      await meter.bring(rules, true);
      let opened = ports;
      for (let i = 0; i < OPENINGS; i++) {
        opened = meter.freshPorts();
        const opening = await meter.measure(load.allowed, opened, 1);
        of?.opening.push(...opening);
      }
      const later = await meter.measure(load.allowed, opened, REPEATS);
      of?.later.push(...later);
    }
  }
} finally {
  await meter.close();
}

const results = Object.fromEntries(
  [...clocks].map(([name, { tables, ...lists }]) => {
    const rules = cases.get(name) ?? [];
    const all = Object.entries(lists).map(([what, values]): [string, Figures] => [what, figures(values)]);
    return [name, { rules: rules.length, masks: masksOf(rules), tables, ...Object.fromEntries(all) }];
  }),
);

/** The least of all, which nobody interrupted. */
const least = (name: string, what: keyof Omit<Clocks, 'tables'>): number =>
  Math.min(...(clocks.get(name)?.[what] ?? []));
/** What connections of these lengths cost with `name`, where each packet is looked up, to what they cost with ours and its sessions. */
const connections = (name: string, lengths: typeof MIX): number => {
  const total = (cost: (packets: number) => number): number =>
    lengths.reduce((sum, { share, packets }) => sum + share * cost(packets), 0);
  const opening = least('ours', 'opening');
  const later = least('ours', 'later');
  return (
    total((packets) => packets * least(name, 'lookup')) / total((packets) => opening + (packets - 1) * later)
  );
};
const ratios = (name: string) => ({
  mix: connections(name, MIX),
  firstPacket: least(name, 'lookup') / least('ours', 'lookup'),
  denied: least(name, 'denied') / least('ours', 'denied'),
  ofTen: connections(name, [{ share: 1, packets: 10 }]),
  ofHundred: connections(name, [{ share: 1, packets: 100 }]),
  laterPacket: least(name, 'lookup') / least('ours', 'later'),
});
const compared = {
  pairs: ratios('pairs'),
  'pairs of the node': ratios('pairs of the node'),
  /** What the first packet costs pairs to what it must cost any list of the same peers. */
  reachable: least('pairs', 'lookup') / least('addresses alone', 'lookup'),
};

process.stdout.write(`${JSON.stringify({ results, ratios: compared }, null, 1)}\n`);
if (!options.dry) {
  mkdirSync(dirname(RESULTS), { recursive: true });
  const run = {
    vpp: basename(installedVpp().prefix),
    load: loadavg(),
    policies: POLICIES,
    flows,
    rounds,
    mix: MIX,
  };
  writeFileSync(RESULTS, `${JSON.stringify({ ...run, results, ratios: compared }, null, 2)}\n`);
}
