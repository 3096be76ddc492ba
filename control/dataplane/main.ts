/** `pteropus dataplane`: the WebAssembly data plane of one node as a process of its own. */
import { parseArgs } from 'node:util';
import { loadNative } from '../../native/index.js';
import type { Status } from '../backends/wasm/wire.js';
import { collectGarbage } from '../common/collect-garbage.js';
import { errorText, InvalidInputError } from '../common/errors.js';
import { openXdpBackend } from './open.js';
import { serve } from './server.js';

const HELP = `usage: pteropus dataplane --socket PATH [options]

Runs the packet pipeline of one node and takes rulesets from the agent over a unix socket (mode 0600).
Traffic goes on while the agent is away.

  --socket PATH      where to listen
  --feed afxdp       where packets come from (AF_XDP sockets on Linux links; needs root)
  --netns PATH       network namespace of the links (default: the process's own)
  --sessions N       room for N connections, rounded up to a power of two (default 131072, at most 16777216: 2 GiB)
  --workers N        threads that share the packets (default 1, at most 16); each needs a core, and a queue of every link
  --frames N         packet buffers, a power of two, at least 1024 (default 8192)
  --frame-size N     2048 (default) or 4096 bytes
  --spin N           microseconds without packets before the worker sleeps (default 300)
  --die-with-stdin   end when standard input ends
`;

/** Less than a batch on each side and what lies in the kernel's rings would starve it. */
const LEAST_FRAMES = 1024;

interface Options {
  readonly socket: string;
  readonly netns: string | null;
  readonly memory: { workers?: number; sessionsLog2?: number; frameCount?: number; frameSize?: number };
  readonly spinMicros?: number;
  readonly dieWithStdin: boolean;
}

function number(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidInputError('not a number', { field, value: text });
  return Number(text);
}

function parse(argv: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      socket: { type: 'string' },
      feed: { type: 'string', default: 'afxdp' },
      netns: { type: 'string' },
      sessions: { type: 'string' },
      workers: { type: 'string' },
      frames: { type: 'string' },
      'frame-size': { type: 'string' },
      spin: { type: 'string' },
      'die-with-stdin': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  if (values.socket === undefined) throw new InvalidInputError('is needed', { field: '--socket' });
  if (values.feed !== 'afxdp')
    throw new InvalidInputError('only afxdp', { field: '--feed', value: values.feed });
  const spinMicros = number('--spin', values.spin);
  const sessions = number('--sessions', values.sessions);
  const workers = number('--workers', values.workers);
  const frameCount = number('--frames', values.frames);
  if (frameCount !== undefined && (frameCount < LEAST_FRAMES || (frameCount & (frameCount - 1)) !== 0))
    throw new InvalidInputError(`must be a power of two, at least ${LEAST_FRAMES}`, {
      field: '--frames',
      value: values.frames,
    });
  const frameSize = number('--frame-size', values['frame-size']);
  return {
    socket: values.socket,
    netns: values.netns ?? null,
    dieWithStdin: values['die-with-stdin'],
    ...(spinMicros === undefined ? {} : { spinMicros }),
    memory: {
      ...(workers === undefined ? {} : { workers }),
      // Two lines a connection.
      ...(sessions === undefined ? {} : { sessionsLog2: Math.max(4, Math.ceil(Math.log2(sessions)) + 1) }),
      ...(frameCount === undefined ? {} : { frameCount }),
      ...(frameSize === undefined ? {} : { frameSize }),
    },
  };
}

function log(line: string): void {
  process.stderr.write(`dataplane: ${line}\n`);
}

/** Runs until a signal, the end of standard input (if asked for), or the loss of the worker. */
export async function run(argv: readonly string[]): Promise<number> {
  let options: Options | null;
  try {
    options = parse(argv);
  } catch (error) {
    process.stderr.write(`pteropus dataplane: ${errorText(error)}\n\n${HELP}`);
    return 2;
  }
  if (options === null) {
    process.stdout.write(HELP);
    return 0;
  }
  const ended = new Promise<string>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
    if (options.dieWithStdin) process.stdin.once('close', () => resolve('end of standard input')).resume();
  });
  const { backend, runner } = await openXdpBackend({ ...options, log });
  try {
    const status = (): Status => ({ pid: process.pid, restarts: runner.restarts });
    // What the agent's message became on its way into the tables is garbage, and several times as large as what is kept.
    const tidy = (): void => {
      collectGarbage();
      loadNative().trimMemory();
    };
    const server = await serve(options.socket, backend, status, tidy);
    log(`listening on ${options.socket}`);
    const why = await Promise.race([ended, backend.lost]);
    log(why instanceof Error ? errorText(why) : `ending: ${why}`);
    await server.close();
    return why instanceof Error ? 3 : 0;
  } finally {
    await backend.close();
  }
}
