/** Every size of both shapes: rounds of both sides in turns, builds, and changes of one rule or one member. */
import type { AddressSetItem, PolicyItem } from '../../control/ruleset/types.js';
import { VERDICT_ALLOW } from '../../dataplane-as/layout/index.js';
import { type Figures, figures } from '../statistics.js';
import { AclPeer, buildAcl } from './acl-peer.js';
import { classBench } from './classbench.js';
import { kubernetesShape, sourceOf } from './kubernetes.js';
import { ListSide, listRules } from './list-side.js';
import { changesOf, PipelineSide, removalsOf } from './pipeline-side.js';
import { seeded } from './random.js';
import { type AccessList, RULE_WORDS } from './rules.js';

export interface Classified {
  readonly shape: string;
  readonly rules: number;
  /** Nanoseconds of CPU a header. */
  readonly wasm: Figures;
  /** librte_acl, by method. */
  readonly acl: Readonly<Record<string, Figures>>;
  /** Its best method's median over ours, and SSE's: above 1 we are faster. NaN without it. */
  readonly toBest: number;
  readonly toSse: number;
  /** Milliseconds of CPU to build the tables, once the code is compiled, and the first time. */
  readonly build: Figures;
  readonly firstBuild: number;
  readonly aclBuild: Figures;
  /** Milliseconds until a changed rule, or a changed member of a set, is in both copies of the tables. */
  readonly rule: Figures;
  readonly member: Figures | null;
  readonly huge: boolean;
}

export const SIZES = [100, 1000, 10_000, 100_000];
const HEADERS = 100_000;
const CHANGES = 200;
/** Passes before each that is measured. */
const UNMEASURED = 3;
/** For so long tables are built before the builds that count, milliseconds. */
const WARM_UP = 1500;
const BUILDS = 15;

interface Ours {
  readonly list: AccessList;
  readonly huge: boolean;
  pass(): number;
  /** Throws where the peer says otherwise. */
  compare(answers: Uint32Array): void;
}

/** `rounds` of both sides in turns. Before each measured pass some that are not bring tables and headers back into the caches. */
async function race(ours: Ours, path: string | null, rounds: number) {
  const peer = path === null ? null : await AclPeer.start(path, ours.list, ours.huge);
  const wasm: number[] = [];
  const acl = new Map<string, number[]>((peer?.methods ?? []).map((method) => [method, []]));
  for (let i = 0; i < rounds; i++) {
    for (let pass = 0; pass < UNMEASURED; pass++) ours.pass();
    wasm.push(ours.pass());
    for (const [method, times] of acl) {
      for (let pass = 0; pass < UNMEASURED; pass++) await peer?.pass(method);
      times.push((await peer?.pass(method)) ?? Number.NaN);
    }
  }
  if (peer !== null) ours.compare(await peer.answers());
  const aclBuild = figures(peer?.builds ?? []);
  peer?.close();
  const found = Object.fromEntries([...acl].map(([method, times]) => [method, figures(times)]));
  const medians = Object.values(found).map(({ median }) => median);
  const own = figures(wasm);
  return {
    ...{ wasm: own, acl: found, aclBuild },
    toBest: medians.length === 0 ? Number.NaN : Math.min(...medians) / own.median,
    toSse: (found['sse']?.median ?? Number.NaN) / own.median,
  };
}

/** Builds tables until the compiler has seen the code, then those that count; what `clear` does does not. Leaves them built. */
function builds(build: () => number, clear: () => void): Pick<Classified, 'build' | 'firstBuild'> {
  const firstBuild = build();
  for (const end = performance.now() + WARM_UP; performance.now() < end; ) {
    clear();
    build();
  }
  const counted = Array.from({ length: BUILDS }, () => {
    clear();
    return build();
  });
  return { build: figures(counted), firstBuild };
}

async function kubernetes(size: number, path: string | null, rounds: number): Promise<Classified> {
  const shape = kubernetesShape(size, HEADERS);
  const side = await PipelineSide.start(shape.list.headers);
  side.apply(changesOf(shape.pods));
  const [additions, removals] = [changesOf(shape.policies), removalsOf(shape.policies)];
  const built = builds(
    () => side.apply(additions),
    () => side.apply(removals),
  );
  const ours = {
    ...{ list: shape.list, huge: side.huge },
    pass: () => side.pass(),
    compare: (answers: Uint32Array) => {
      const own = side.answers();
      const wrong = answers.findIndex((rule, i) => (rule !== 0) !== (own[i] ?? 0) >= VERDICT_ALLOW);
      if (wrong >= 0) throw new Error(`header ${wrong} is judged otherwise by librte_acl`);
    },
  };
  const raced = await race(ours, path, rounds);
  const rules = shape.list.rules.length / RULE_WORDS;
  const sets = shape.policies.filter((item): item is AddressSetItem => item.kind === 'addressset');
  const policies = shape.policies.filter((item): item is PolicyItem => item.kind === 'policy');
  const random = seeded(1);
  const member = Array.from({ length: CHANGES }, (_, i) => {
    const old = sets[random.below(sets.length)] as AddressSetItem;
    const added = sourceOf(4000 + i, 0);
    const item = { ...old, addresses: [...old.addresses, added].sort() };
    const delta = { added: [added], removed: [] };
    const joined = side.applyWall([{ type: 'update', key: old.key, old, item, delta }]);
    const back = { added: [], removed: [added] };
    return [joined, side.applyWall([{ type: 'update', key: old.key, old: item, item: old, delta: back }])];
  });
  const rule = Array.from({ length: CHANGES }, (_, i) => {
    const old = policies[random.below(policies.length)] as PolicyItem;
    const [first, ...others] = old.rules;
    if (first === undefined) return [];
    const ports = [{ protocol: 'TCP' as const, from: 40_000 + i, to: 40_010 + i }];
    const item = { ...old, rules: [{ ...first, ports }, ...others] };
    const changed = side.applyWall([{ type: 'update', key: old.key, old, item }]);
    return [changed, side.applyWall([{ type: 'update', key: old.key, old: item, item: old }])];
  });
  return {
    ...{ shape: 'Kubernetes', rules, ...raced, ...built },
    ...{ rule: figures(rule.flat()), member: figures(member.flat()), huge: side.huge },
  };
}

async function lists(size: number, path: string | null, rounds: number): Promise<Classified> {
  const list = classBench(size, HEADERS);
  const side = await ListSide.start(listRules(list.rules), list.headers);
  const ours = {
    ...{ list, huge: side.huge },
    pass: () => side.pass(),
    compare: (answers: Uint32Array) => {
      const own = side.answers();
      const wrong = answers.findIndex((rule, i) => rule !== own[i]);
      if (wrong >= 0) throw new Error(`header ${wrong} meets another rule in librte_acl`);
    },
  };
  const built = builds(
    () => side.build(),
    () => {},
  );
  const raced = await race(ours, path, rounds);
  const random = seeded(2);
  const changed = listRules(classBench(CHANGES, 1, 7).rules).map((rule) =>
    side.change(rule, random.below(size)),
  );
  return {
    ...{ shape: list.name, rules: size, ...raced, ...built },
    ...{ rule: figures(changed.flat()), member: null, huge: side.huge },
  };
}

function line(r: Classified): string {
  const cell = (value: number, digits: number, width: number) => value.toFixed(digits).padStart(width);
  const best = Object.entries(r.acl).sort(([, a], [, b]) => a.median - b.median)[0];
  const three = (f: Figures) => cell(f.median, 1, 8) + cell(f.min, 1, 7) + cell(f.max, 1, 7);
  const theirs = best === undefined ? '' : `${three(best[1])} ${best[0].padEnd(10)}`;
  const ratios = cell(r.toBest, 2, 6) + cell(r.toSse, 2, 6);
  const times = r.aclBuild.median / r.build.median;
  const builds = `${cell(r.build.median, 2, 9)} ${cell(times, 1, 5)} x${cell(r.firstBuild, 1, 7)}`;
  const changes = cell(r.rule.median, 3, 9) + (r.member === null ? '' : cell(r.member.median, 3, 8));
  return `${r.shape.padEnd(11)}${String(r.rules).padStart(7)}${three(r.wasm)} ${theirs}${ratios}${builds}${changes}\n`;
}

/** All sizes of both shapes, told line by line. */
export async function classification(
  say: (text: string) => void,
  sizes: readonly number[] = SIZES,
  rounds = 15,
): Promise<Classified[]> {
  const acl = buildAcl();
  const path = 'path' in acl ? acl.path : null;
  if (path === null) say(`without librte_acl: ${'missing' in acl ? acl.missing : ''}\n`);
  say(
    'classification            ours, ns a header    its best method               x best x SSE  build ms        first  rule ms  member ms\n',
  );
  const found: Classified[] = [];
  for (const [run, size] of [
    ...sizes.map((n) => [kubernetes, n] as const),
    ...sizes.map((n) => [lists, n] as const),
  ]) {
    const result = await run(size, path, rounds);
    say(line(result));
    found.push(result);
  }
  return found;
}
