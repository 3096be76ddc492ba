/** Our line to VPP: it tells when VPP is gone, and whether it still answers. */
import { setTimeout as wait } from 'node:timers/promises';
import { VppTimeoutError } from '../backends/vpp/api/errors.js';
import { openVppApi } from '../backends/vpp/api/open.js';
import { errorText, PteropusError } from '../common/errors.js';

export interface Connection {
  readonly version: string;
  readonly pid: number;
  /** Resolves when VPP is gone or does not answer any more, or when we close. Never rejects. */
  readonly ended: Promise<{ readonly text: string; readonly stuck: boolean }>;
  close(): Promise<void>;
}

export interface Peer {
  readonly socket: string;
  readonly apiDir: string | null;
  /** 0 = it may take as long as it likes. */
  readonly stuckSeconds: number;
}

/** Connects; tries again for `patience` milliseconds. Throws what openVppApi throws. */
export type Answers = (peer: Peer, patience: number) => Promise<Connection>;

const PAUSE_MS = 50;
/** Questions are asked that many times before the patience with one is over. */
const ASKS = 3;

export const connectTo: Answers = async (peer, patience) => {
  const { socket, apiDir, stuckSeconds } = peer;
  const deadline = performance.now() + patience;
  for (;;) {
    try {
      const api = await openVppApi({
        ...{ socket, name: 'pteropus vswitch' },
        ...(apiDir === null ? {} : { apiDir }),
        ...(stuckSeconds === 0 ? {} : { timeoutMilliseconds: stuckSeconds * 1000 }),
      });
      const stop = new AbortController();
      const lost = api.lost.then((reason) => ({ text: errorText(reason), stuck: false }));
      const stuck = ask(() => api.request('control_ping'), stuckSeconds, stop.signal);
      const closed = new Promise<{ text: string; stuck: boolean }>((resolve) => {
        stop.signal.addEventListener('abort', () => resolve({ text: 'closed', stuck: false }));
      });
      const ended = Promise.race([lost, stuck, closed]);
      void ended.then(() => stop.abort());
      const close = async (): Promise<void> => {
        stop.abort();
        await api.close();
      };
      return { version: api.version, pid: api.pid, ended, close };
    } catch (error) {
      const passing = error instanceof PteropusError && error.retryable;
      if (!passing || performance.now() > deadline) throw error;
      await wait(PAUSE_MS);
    }
  }
};

/** Resolves when a question stays without an answer; never, if it is stopped or VPP is lost. */
async function ask(
  question: () => Promise<unknown>,
  stuckSeconds: number,
  signal: AbortSignal,
): Promise<{ readonly text: string; readonly stuck: boolean }> {
  const never = new Promise<never>(() => undefined);
  if (stuckSeconds === 0) return never;
  try {
    for (;;) {
      await wait((stuckSeconds * 1000) / ASKS, undefined, { signal, ref: false });
      await question();
    }
  } catch (error) {
    const late = error instanceof VppTimeoutError;
    if (signal.aborted || !late) return never;
    return { text: `it is stuck: ${errorText(error)}`, stuck: true };
  }
}
