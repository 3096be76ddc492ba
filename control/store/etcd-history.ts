/**
 * Whether a store still has the history that was read of it. One that was put back to an earlier state and written to since has
 * revisions as high as before, or higher, with other changes behind them: a watch that went on by number alone would miss some.
 */
import { errorText } from '../common/errors.js';
import type { EtcdConnection } from './etcd-connection.js';

/** A change that was read: which key it was of says whether the history is still the same. */
export interface Anchor {
  readonly key: Buffer;
  readonly revision: number;
  readonly deleted: boolean;
}

/** compacted: the change itself is kept no longer, and nothing speaks against it. */
export type History = 'same' | 'compacted' | 'other';

/** Asks for the change. Throws what the connection throws. */
export async function historyOf(connection: EtcdConnection, anchor: Anchor): Promise<History> {
  const { key, revision, deleted } = anchor;
  const holds = async (at: number): Promise<boolean> => {
    const { kvs } = await connection.call('always', (client, options) =>
      client.kv.range({ key, revision: at }, options),
    );
    const [kv] = kvs;
    return deleted ? kv === undefined : Number(kv?.mod_revision) === revision;
  };
  try {
    return (await holds(revision)) ? 'same' : 'other';
  } catch (error) {
    const text = errorText(error);
    if (/future revision/.test(text)) return 'other';
    if (!/compacted/.test(text)) throw error;
    return (await holds(0)) ? 'compacted' : 'other';
  }
}
