/** `pteropus sim`: start, measure, and either tear down or leave the cluster to its supervisor. */
import { rm } from 'node:fs/promises';
import { InterruptedError } from '../interrupted.js';
import { type PresentOptions, present } from '../matrix/present.js';
import { parseRun, RUN_HELP, type RunOptions } from '../options.js';
import { makeRunDir } from '../paths.js';
import { startSession } from '../start.js';
import { keep, refuseRunning } from './keep.js';
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
  await refuseRunning(options.name);
  const dir = await makeRunDir(options.name);
  const interrupt = onInterrupt();
  try {
    return await measureOnce(options, dir, shown, interrupt.signal);
  } catch (error) {
    if (error instanceof InterruptedError) return INTERRUPTED;
    throw error;
  } finally {
    interrupt.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

async function measureOnce(
  options: RunOptions,
  dir: string,
  shown: PresentOptions,
  signal: AbortSignal,
): Promise<number> {
  const { name, feed, podFeed, workers, vpp, dualStack, nodes, files } = options;
  const kubernetes = options.kubernetes === null ? {} : { kubernetes: options.kubernetes };
  const spec = { name, feed, podFeed, workers, vpp, dualStack, nodes, files, ...kubernetes };
  const session = await startSession({ ...spec, runDir: dir, progress, signal });
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
/** What is under way gets this long to end in order; the next start removes what is left then. */
const GRACE_MS = 10_000;

/**
 * The first Ctrl-C (or SIGTERM) lets the step that is under way end and begins no other, so that what was made is known and
 * taken down; the second one ends the process at once.
 */
function onInterrupt() {
  const controller = new AbortController();
  const handler = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    progress('stopping …');
    controller.abort(new InterruptedError('stopped'));
    setTimeout(() => process.exit(INTERRUPTED), GRACE_MS).unref();
  };
  process.on('SIGINT', handler);
  process.on('SIGTERM', handler);
  return {
    signal: controller.signal,
    stop() {
      process.off('SIGINT', handler);
      process.off('SIGTERM', handler);
    },
  };
}
