/** `pteropus sim`: start, measure, and either tear down or leave the cluster to its supervisor. */
import { mkdir, rm } from 'node:fs/promises';
import type { Driver } from '../driver.js';
import { present } from '../matrix/present.js';
import { parseRun, RUN_HELP, type RunOptions } from '../options.js';
import { runDir } from '../paths.js';
import { startSession } from '../start.js';
import { keep } from './keep.js';
import { deliver, presentOptions, progress } from './output.js';

export async function run(argv: readonly string[]): Promise<number> {
  const options = parseRun(argv);
  if (options === null) {
    process.stdout.write(RUN_HELP);
    return 0;
  }
  if (options.feedReason !== null) progress(options.feedReason);
  return options.keep ? await keep(options) : await runOnce(options);
}

async function runOnce(options: RunOptions): Promise<number> {
  const shown = await presentOptions(options);
  const dir = runDir(options.name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const interrupt = onInterrupt();
  try {
    const work = measureOnce(options, dir, shown, (driver) => interrupt.closes(driver));
    return await Promise.race([work, interrupt.happened]);
  } finally {
    interrupt.stop();
    await rm(dir, { recursive: true, force: true });
    // What was under way when the interrupt came has nothing left to wait for, but its timers would keep us here.
    if (interrupt.seen()) process.exit(INTERRUPTED);
  }
}

async function measureOnce(
  options: RunOptions,
  dir: string,
  shown: Awaited<ReturnType<typeof presentOptions>>,
  onDriver: (driver: Driver) => void,
): Promise<number> {
  const { name, feed, nodes, files } = options;
  const session = await startSession({ name, feed, nodes, files, runDir: dir, progress }, onDriver);
  try {
    if (!options.matrix) return 0;
    const { cells, millis } = await session.matrix({ icmp: options.icmp });
    return await deliver(present(cells, feed, millis, shown), options.junit);
  } finally {
    await session.close();
  }
}

/** 128 + SIGINT, as shells have it. */
const INTERRUPTED = 130;

/** The first Ctrl-C (or SIGTERM) closes the driver and then ends the run; the second one ends the process at once. */
function onInterrupt() {
  let driver: Driver | null = null;
  let resolve: (code: number) => void;
  const happened = new Promise<number>((done) => {
    resolve = done;
  });
  let count = 0;
  const handler = () => {
    if (count++ > 0) process.exit(INTERRUPTED);
    progress('stopping …');
    const closing = driver?.close() ?? Promise.resolve();
    closing.then(
      () => resolve(INTERRUPTED),
      () => resolve(INTERRUPTED),
    );
  };
  process.on('SIGINT', handler);
  process.on('SIGTERM', handler);
  return {
    happened,
    closes(opened: Driver) {
      driver = opened;
    },
    seen: () => count > 0,
    stop() {
      process.off('SIGINT', handler);
      process.off('SIGTERM', handler);
    },
  };
}
