/** One measurement: opens the flows, starts the generator, and counts what arrives in short windows. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { buildProgram } from '../peers/build.js';
import { figures } from '../statistics.js';
import { SENDING, underPriority } from './ahead.js';
import { type Case, call } from './cases.js';
import type { Place, Side } from './lab.js';
import type { StationSpec } from './station.js';

/** Packets per second that arrived (the median of the windows), and that the generator sent. */
export interface Rate {
  readonly received: number;
  readonly sent: number;
  /** Nanoseconds on a core for a packet that arrived: the generator's, in which a kernel's part runs too, and this process's, with its workers. */
  readonly senderNanos: number;
  readonly nodeNanos: number;
}

const WARM_MS = 150;
const WINDOW_MS = 100;
const WINDOWS = 6;
/** All in all less than a second: threads of the real-time class get 0.95 s of each without a pause (sched_rt_runtime_us). */
const SENDING_MS = WARM_MS + WINDOWS * WINDOW_MS + 50;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Compiles the generator. Throws where there is no compiler. */
export function buildSender(): string {
  const built = buildProgram('sender', ['../pod-to-pod/sender.c']);
  if ('missing' in built) throw new Error(built.missing);
  return built.path;
}

/** @param core where the generator runs */
export async function measure(
  side: Side,
  test: Case,
  flows: number,
  sender: string,
  core: number,
): Promise<Rate> {
  const { wires } = side;
  const calls = test.counted === 'calls';
  const [from, to]: [Place, Place] = calls ? ['client', test.exit] : [test.exit, 'client'];
  const spec = { client: wires.path('client'), exit: wires.path(test.exit), case: test, flows };
  const frames =
    side.sink === true ? Array.from({ length: flows }, (_, n) => call(n, test)) : await open(spec);
  const receiver = side.sink === true ? 'node' : to;
  const directory = mkdtempSync(join(tmpdir(), 'pteropus-bench-'));
  try {
    const file = join(directory, 'frames');
    writeFileSync(file, Buffer.concat(frames));
    const length = frames[0]!.length;
    const argv = [sender, wires.path(from), 'eth0', file, length, core, SENDING_MS].map(String);
    const [program, ...rest] = underPriority(SENDING, argv);
    const generator = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(generator, 'exit');
    const rates: number[] = [];
    let sent = Number.NaN;
    let [senderNanos, nodeNanos] = [Number.NaN, Number.NaN];
    for await (const line of createInterface(generator.stdout)) {
      if (line !== 'sending') {
        sent = Number(line);
        continue;
      }
      await pause(WARM_MS);
      const [first, sending, forwarding] = [
        wires.received(receiver),
        onCore(generator.pid),
        onCore(process.pid),
      ];
      for (let window = 0; window < WINDOWS; window++) {
        const [before, start] = [wires.received(receiver), performance.now()];
        await pause(WINDOW_MS);
        rates.push(((wires.received(receiver) - before) * 1000) / (performance.now() - start));
      }
      const packets = wires.received(receiver) - first;
      senderNanos = (onCore(generator.pid) - sending) / packets;
      nodeNanos = (onCore(process.pid) - forwarding) / packets;
    }
    await ended;
    if (rates.length === 0) throw new Error(`${side.name}: the generator did not send`);
    return { received: figures(rates).median, sent, senderNanos, nodeNanos };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Nanoseconds that the threads of a process had a core (schedstat: the first of three figures). */
function onCore(process: number | undefined): number {
  const threads = readdirSync(`/proc/${process}/task`);
  return threads.reduce(
    (sum, thread) =>
      sum + Number(readFileSync(`/proc/${process}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
    0,
  );
}

/** The frames to send, each flow of which has seen a packet in both directions. */
async function open(spec: StationSpec): Promise<readonly Uint8Array[]> {
  const worker = new Worker(new URL('./station.js', import.meta.url), { workerData: spec });
  try {
    return await new Promise((resolve, reject) => {
      worker.once('error', reject).once('message', resolve);
    });
  } finally {
    await worker.terminate();
  }
}
