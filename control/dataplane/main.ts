/** `pteropus dataplane`: the WebAssembly data plane of one node as a process of its own. */
import { MAX_WORKERS } from '../../dataplane-as/layout/index.js';
import { loadNative } from '../../native/index.js';
import type { Status } from '../backends/wasm/wire.js';
import { collectGarbage } from '../common/collect-garbage.js';
import { oneOf, parseOptions, required, UsageError, wholeNumber } from '../common/command-line.js';
import { errorText } from '../common/errors.js';
import { logLine } from '../common/log.js';
import { openXdpBackend } from './open.js';
import { serve } from './server.js';

const HELP = `usage: pteropus dataplane --socket PATH [options]

Runs the packet pipeline of one node and receives rulesets from the agent over a unix socket (mode 0600).
Traffic goes on while the agent is down.

  --socket PATH      where to listen
  --feed afxdp       where packets come from (AF_XDP sockets on Linux links; needs root)
  --netns PATH       network namespace of the links (default: the process's own)
  --sessions N       room for N connections, rounded up to a power of two (default 131072, at most 16777216: 2 GiB)
  --workers N        threads that share the packets (1-16, default 1); each needs a core, and a queue of every link
  --frames N         packet buffers, a power of two, at least 1024 (default 8192)
  --frame-size N     2048 (default) or 4096 bytes
  --spin N           microseconds without packets before the worker sleeps (default 300)
  --die-with-stdin   end when standard input ends
  -h, --help         show this text
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

/** 2 GiB of sessions. */
const MOST_SESSIONS = 2 ** 24;
const MOST_FRAMES = 2 ** 20;
/** A minute: to spin longer is never to sleep. */
const MOST_SPIN_MICROS = 60_000_000;

function number(option: string, text: string | undefined, least: number, most: number): number | undefined {
  return text === undefined ? undefined : wholeNumber(option, text, least, most);
}

function parse(argv: readonly string[]): Options | null {
  const text = { type: 'string' } as const;
  const { values } = parseOptions(argv, {
    socket: text,
    feed: text,
    netns: text,
    sessions: text,
    workers: text,
    frames: text,
    'frame-size': text,
    spin: text,
    'die-with-stdin': { type: 'boolean' as const },
  });
  if (values.help === true) return null;
  const socket = required('--socket', values.socket);
  oneOf('--feed', values.feed ?? 'afxdp', ['afxdp']);
  const spinMicros = number('--spin', values.spin, 1, MOST_SPIN_MICROS);
  const sessions = number('--sessions', values.sessions, 1, MOST_SESSIONS);
  const workers = number('--workers', values.workers, 1, MAX_WORKERS);
  const frameCount = number('--frames', values.frames, LEAST_FRAMES, MOST_FRAMES);
  if (frameCount !== undefined && (frameCount & (frameCount - 1)) !== 0)
    throw new UsageError('must be a power of two', { field: '--frames', value: values.frames });
  const { 'frame-size': givenSize } = values;
  const frameSize =
    givenSize === undefined ? undefined : Number(oneOf('--frame-size', givenSize, ['2048', '4096']));
  return {
    socket,
    netns: values.netns ?? null,
    dieWithStdin: values['die-with-stdin'] === true,
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

/** Runs until a signal, the end of standard input (if asked for), or the loss of the worker. Throws UsageError, PteropusError. */
export async function run(argv: readonly string[]): Promise<number> {
  const options = parse(argv);
  if (options === null) {
    process.stdout.write(HELP);
    return 0;
  }
  const ended = new Promise<string>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
    if (options.dieWithStdin) process.stdin.once('close', () => resolve('end of standard input')).resume();
  });
  const { backend, runner } = await openXdpBackend({ ...options, log: logLine });
  try {
    const status = (): Status => ({ pid: process.pid, restarts: runner.restarts });
    // What the agent's message became on its way into the tables is garbage, and several times as large as what is kept.
    const tidy = (): void => {
      collectGarbage();
      loadNative().trimMemory();
    };
    const server = await serve(options.socket, backend, status, tidy);
    logLine(`listening on ${options.socket}`);
    const why = await Promise.race([ended, backend.lost]);
    logLine(why instanceof Error ? errorText(why) : `ending: ${why}`);
    await server.close();
    return why instanceof Error ? 3 : 0;
  } finally {
    await backend.close();
  }
}
