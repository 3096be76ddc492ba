/** Pods behind TAPs beside pods behind veths with AF_XDP and beside the kernel's bridge, in turns; method in bench/README.md. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Lab, openBridgeLab, openDataPlaneLab, SERVER } from './afxdp-lab.js';
import { buildProgram } from './peers/build.js';
import { type Figures, figures, paired } from './statistics.js';
import { idleCpu } from './tap-idle.js';
import { wakeUps } from './tap-wake.js';

const RESULTS = fileURLToPath(new URL('../../../bench/results/tap.json', import.meta.url));
const RR = fileURLToPath(new URL('./tap-rr.js', import.meta.url));
const TCP_SECONDS = 1;
const BUSY = 4000;
const PINGS = 1000;
const SLEEPING = 80;
/** Longer than the worker spins. */
const PAUSE_MS = 5;
const IDLE_PODS = 50;
const CONGESTION = 'net/ipv4/tcp_congestion_control';
const WAKE_UPS = 200;
/** One buffer a packet, two, and five. */
const MTUS = [1500, 3400, 9000] as const;
const PARTS = ['tcp', 'latency', 'idle'] as const;
type Part = (typeof PARTS)[number];
const SIDES = ['bridge', 'tap', 'afxdp'] as const;
type Side = (typeof SIDES)[number];

export interface TapOptions {
  readonly rounds: number;
  /** `tcp`, `latency`, `idle`; absent = all, and only then the raw figures go to bench/results/tap.json. */
  readonly parts?: readonly string[];
  /** Told what is measured, line by line. */
  readonly progress?: (line: string) => void;
}

export interface TapRow {
  readonly what: string;
  readonly unit: 'Gbit/s' | 'microseconds' | 'share of a core';
  readonly side: string;
  readonly rounds: readonly number[];
  readonly figures: Figures;
  /** Beside the bridge in the same round: the ratio of rates, the difference of times; null where the bridge has none. */
  readonly beside: Figures | null;
  /** By round, where that is up to the scheduler: the share of round trips with both ends on one core. */
  readonly together?: readonly number[];
}

interface Answer {
  readonly value: number;
  readonly together?: number;
}

interface Question {
  readonly what: string;
  readonly part: Part;
  readonly unit: TapRow['unit'];
  readonly mtu: number;
  /** Absent: all. */
  readonly sides?: readonly Side[];
  readonly ask: (lab: Lab) => Promise<number | Answer>;
}

const FEW_SIDES: readonly Side[] = ['bridge', 'tap'];

const TCP_QUESTIONS = MTUS.flatMap((mtu): Question[] => {
  const question = { part: 'tcp', unit: 'Gbit/s', mtu } as const;
  return [
    { ...question, what: `TCP at MTU ${mtu}`, ask: tcp },
    {
      ...question,
      what: `TCP at MTU ${mtu}, unpaced`,
      sides: FEW_SIDES,
      ask: (lab) => unpaced(lab, () => tcp(lab)),
    },
  ];
});

/** How often, and with which pause before each. */
const PACES = { busy: [BUSY, 0], asleep: [SLEEPING, PAUSE_MS] } as const;
/** The cores of client and server (netperf -T); -1: wherever the scheduler puts them. */
const PLACES = { 'one core': [1, 1], 'two cores': [0, 1], unbound: [-1, -1] } as const;

/** @param program tap-rr.c; null: without it */
function latencyQuestions(program: string | null): Question[] {
  const question = { part: 'latency', unit: 'microseconds', mtu: MTUS[0] } as const;
  const paces = Object.entries(PACES);
  const places = program === null || availableParallelism() < 2 ? [] : Object.entries(PLACES);
  return [
    ...places.flatMap(([place, cores]) =>
      paces.map(([pace, [count, pause]]): Question => {
        const ask = (lab: Lab) => roundTrip(lab, program ?? '', cores, count, pause);
        return { ...question, what: `one byte, ${place}, ${pace}`, ask };
      }),
    ),
    ...paces.map(([pace, [count, pause]]): Question => {
      const what = `one byte between Node.js programs, ${pace}`;
      return { ...question, what, sides: FEW_SIDES, ask: (lab) => nodeRoundTrip(lab, count, pause) };
    }),
    ...paces.map(([pace, [count, pause]]): Question => {
      return {
        ...question,
        what: `ping, ${pace}`,
        ask: (lab) => ping(lab, pause === 0 ? PINGS : count, pause),
      };
    }),
  ];
}

const run = promisify(execFile);

const median = (values: readonly number[]): number => figures(values).median;
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Where the pods are. */
export type Pods = Pick<Lab, 'client' | 'server'>;

/** Runs a server in one pod and a client in the other; what the client printed. */
async function pair(lab: Pods, server: readonly string[], client: readonly string[]): Promise<string> {
  const process = spawn('ip', ['netns', 'exec', lab.server, ...server], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(process, 'exit');
  await once(process.stdout, 'data');
  process.stdout.resume();
  try {
    const { stdout } = await run('ip', ['netns', 'exec', lab.client, ...client], { maxBuffer: 1 << 24 });
    return stdout;
  } finally {
    process.kill();
    await ended;
  }
}

/** Gbit/s of bulk TCP that arrived. */
export async function tcp(lab: Pods): Promise<number> {
  const client = ['iperf3', '-c', SERVER, '-t', String(TCP_SECONDS), '-J'];
  const out = await pair(lab, ['iperf3', '-s', '-1', '--forceflush'], client);
  const { end } = JSON.parse(out) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e9;
}

/**
 * The same by a sender that does not pace itself. Some machines' congestion control does (BBR), with a timer for each segment, which costs
 * more than all the rest on a virtual machine. Reno is the one that every namespace may choose.
 */
export async function unpaced<T>(lab: Pods, ask: () => Promise<T>): Promise<T> {
  const set = (name: string): Promise<unknown> =>
    run('ip', ['netns', 'exec', lab.client, 'sysctl', '-qw', `${CONGESTION}=${name}`]);
  const before = congestion();
  await set('reno');
  try {
    return await ask();
  } finally {
    await set(before);
  }
}

/** What the machine's new namespaces start with. */
function congestion(): string {
  return readFileSync(`/proc/sys/${CONGESTION}`, 'utf8').trim();
}

/** Microseconds of a round trip between two programs in C: the median; where nobody said on which cores, how many were within one. */
async function roundTrip(
  lab: Pods,
  program: string,
  cores: readonly [client: number, server: number],
  count: number,
  pauseMs: number,
): Promise<Answer> {
  const [client, server] = cores.map(String) as [string, string];
  const ask = [program, 'client', client, SERVER, String(count), String(pauseMs * 1000)];
  const trips = JSON.parse(await pair(lab, [program, 'server', server], ask)) as [number, number][];
  const value = median(trips.map(([micros]) => micros));
  if (cores[0] >= 0) return { value };
  return { value, together: trips.filter(([, together]) => together === 1).length / trips.length };
}

/** The same between two processes of Node.js. */
async function nodeRoundTrip(lab: Pods, count: number, pauseMs: number): Promise<number> {
  const client = [process.execPath, RR, 'client', SERVER, String(count), String(pauseMs)];
  return median(JSON.parse(await pair(lab, [process.execPath, RR, 'server'], client)) as number[]);
}

/** Microseconds: the median of so many pings, one after the other or with pauses. */
async function ping(lab: Lab, count: number, pauseMs: number): Promise<number> {
  const pace = pauseMs === 0 ? ['-A'] : ['-i', String(pauseMs / 1000)];
  const argv = ['netns', 'exec', lab.client, 'ping', '-c', String(count), ...pace, SERVER];
  const { stdout } = await run('ip', argv);
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1000);
  if (times.length < count) throw new Error(`only ${times.length} of ${count} pings came back`);
  return median(times);
}

/**
 * The scheduler's group of this session comes first, so that others' work is in no figure, and who is measured shares the cores as ever
 * (sched(7), autogroups); undone by what it returns.
 */
function comeFirst(): () => void {
  const file = '/proc/self/autogroup';
  try {
    const before = / nice (-?\d+)/.exec(readFileSync(file, 'utf8'))?.[1] ?? '0';
    writeFileSync(file, '-20');
    return () => {
      writeFileSync(file, before);
    };
  } catch {
    return () => undefined; // a kernel without groups, or no right to
  }
}

/** Needs root, iperf3 and ping. */
export async function runTap(options: TapOptions): Promise<TapRow[]> {
  const { rounds, parts = PARTS, progress = () => undefined } = options;
  const back = comeFirst();
  const rows: TapRow[] = [];
  try {
    const all = [...TCP_QUESTIONS];
    if (parts.includes('latency')) {
      const built = buildProgram('tap-rr', ['../tap-rr.c']);
      if ('missing' in built) progress(`no programs in C: ${built.missing}`);
      all.push(...latencyQuestions('missing' in built ? null : built.path));
    }
    for (const mtu of MTUS) {
      const questions = all.filter((question) => question.mtu === mtu && parts.includes(question.part));
      if (questions.length > 0) rows.push(...(await askAll(questions, mtu, rounds, progress)));
    }
    if (parts.includes('latency')) rows.push(...wakeRows(rounds));
    if (parts.includes('idle')) {
      for (const side of ['tap', 'afxdp'] as const) {
        const share = await idleCpu(side, IDLE_PODS);
        const what = `idle, ${IDLE_PODS} pods`;
        const one = [share];
        rows.push({ what, unit: 'share of a core', side, rounds: one, figures: figures(one), beside: null });
      }
    }
  } finally {
    back();
  }
  if (parts === PARTS) save(rows);
  return rows;
}

/** The floor under what is asleep. */
function wakeRows(rounds: number): TapRow[] {
  const all = Array.from({ length: rounds }, () => wakeUps(WAKE_UPS, PAUSE_MS)).filter((one) => one !== null);
  if (all.length === 0) return [];
  const [what, unit] = ['two pipes, asleep', 'microseconds'] as const;
  return (['near', 'far'] as const).map((way): TapRow => {
    const times = all.map((one) => one[way]);
    const side = way === 'near' ? 'one core' : 'two cores';
    return { what, unit, side, rounds: times, figures: figures(times), beside: null };
  });
}

async function askAll(
  questions: readonly Question[],
  mtu: number,
  rounds: number,
  progress: (line: string) => void,
): Promise<TapRow[]> {
  const labs: Record<Side, Lab> = {
    bridge: openBridgeLab(mtu),
    tap: await openDataPlaneLab('tap', mtu),
    afxdp: await openDataPlaneLab('afxdp', mtu),
  };
  const answers = questions.map((): Record<Side, Answer[]> => ({ bridge: [], tap: [], afxdp: [] }));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [n, { what, sides = SIDES, ask }] of questions.entries()) {
        for (const side of sides) {
          const found = await ask(labs[side]);
          const answer = typeof found === 'number' ? { value: found } : found;
          answers[n]![side].push(answer);
          progress(`${round + 1} ${what}, ${side}: ${answer.value.toFixed(1)}${togetherText(answer)}`);
        }
      }
    }
  } finally {
    for (const side of SIDES) await labs[side].close();
  }
  return questions.flatMap(({ what, unit, sides = SIDES }, n) =>
    sides.map((side): TapRow => {
      const [all, bridge] = [answers[n]![side], answers[n]!.bridge].map((own) =>
        own.map(({ value }) => value),
      );
      const join = unit === 'Gbit/s' ? (a: number, b: number) => a / b : (a: number, b: number) => a - b;
      const beside = figures(paired(all!, bridge!, join));
      const row = { what, unit, side, rounds: all!, figures: figures(all!), beside };
      const together = answers[n]![side].flatMap((answer) => answer.together ?? []);
      return together.length === 0 ? row : { ...row, together };
    }),
  );
}

function togetherText({ together }: Pick<Answer, 'together'>): string {
  return together === undefined ? '' : `, ${(together * 100).toFixed(0)} % on one core`;
}

function save(rows: readonly TapRow[]): void {
  const machine = {
    kernel: release(),
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    node: process.version,
    congestion: congestion(),
  };
  const raw = { machine, load: loadavg(), date: new Date().toISOString(), rows };
  mkdirSync(dirname(RESULTS), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify(raw, null, 2)}\n`);
}

/** The table of bench/README.md: the median, and beside the bridge its median, lowest and highest round. */
export function tapText(rows: readonly TapRow[]): string {
  const lines = ['| | side | median | beside the bridge | lowest to highest |', '|---|---|---|---|---|'];
  for (const { what, unit, side, figures: own, beside, together } of rows) {
    const idle = unit === 'share of a core';
    const value = idle ? `${(own.median * 100).toFixed(2)} % of a core` : `${own.median.toFixed(1)} ${unit}`;
    const digits = unit === 'Gbit/s' ? 2 : 1;
    const sign = (figure: number): string =>
      unit === 'microseconds' && figure >= 0 ? `+${figure.toFixed(digits)}` : figure.toFixed(digits);
    const [middle, range] =
      beside === null ? ['', ''] : [sign(beside.median), `${sign(beside.min)} to ${sign(beside.max)}`];
    const label = what + (together === undefined ? '' : togetherText({ together: mean(together) }));
    lines.push(`| ${[label, side, value, middle, range].join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}
