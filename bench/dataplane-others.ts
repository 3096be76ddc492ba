/** What packets meet beside the pipeline: the benchmarks with pods in namespaces, run as programs of their own, each with its own raw file. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface Program {
  readonly name: string;
  readonly script: string;
  /** Programs that have to be there. */
  readonly needs: readonly (readonly [command: string, ...args: string[]])[];
}

export interface OtherRun {
  readonly name: string;
  readonly seconds: number;
  /** Why it was not run, or what went wrong; null: its figures are in its own file. */
  readonly missing: string | null;
}

const PROGRAMS: readonly Program[] = [
  {
    name: 'pod to pod, packets a second',
    script: 'pod-to-pod/main.js',
    needs: [
      ['ip', '-V'],
      ['nft', '--version'],
    ],
  },
  {
    name: 'TCP, latency, idle nodes',
    script: 'tap.js',
    needs: [
      ['ip', '-V'],
      ['iperf3', '--version'],
      ['ping', '-V'],
    ],
  },
  {
    name: 'memory of a node',
    script: 'node-memory.js',
    needs: [
      ['ip', '-V'],
      ['nsenter', '-V'],
    ],
  },
];

/** What keeps the program from running here, null if nothing does. */
function missing({ needs }: Program): string | null {
  if (process.platform !== 'linux') return 'Linux';
  if (process.getuid?.() !== 0) return 'root';
  const absent = needs.find(([command, ...args]) => spawnSync(command, args).error !== undefined);
  return absent === undefined ? null : absent[0];
}

/** Runs them one after the other; what they print is printed. */
export async function others(say: (text: string) => void): Promise<OtherRun[]> {
  const runs: OtherRun[] = [];
  for (const program of PROGRAMS) {
    const { name, script } = program;
    const lacks = missing(program);
    say(lacks === null ? `\n${name}\n` : `\n${name}: skipped, needs ${lacks}\n`);
    if (lacks !== null) {
      runs.push({ name, seconds: 0, missing: `needs ${lacks}` });
      continue;
    }
    const start = Date.now();
    const path = fileURLToPath(new URL(script, import.meta.url));
    const child = spawn(process.execPath, [path], { stdio: ['ignore', 'inherit', 'inherit'] });
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    const failed = code === 0 ? null : `ended with ${code ?? signal}`;
    if (failed !== null) say(`${name}: ${failed}\n`);
    runs.push({ name, seconds: (Date.now() - start) / 1000, missing: failed });
  }
  return runs;
}
