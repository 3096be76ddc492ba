/**
 * Whether a store still has the history that was read of it. One that was put back to an earlier state and written to since has
 * revisions as high as before, or higher, with other changes behind them: a watch that went on by number alone would miss some.
 */
import { errorText } from '../common/errors.js';
import type { EtcdConnection } from './etcd-connection.js';

/** What was read last: which keys these changes were of says whether the history is still the same. */
export interface Anchor {
  /** null: no key was put. */
  readonly put: { readonly key: Buffer; readonly revision: number } | null;
  /** One that was removed after `put`. It alone says little: whoever writes to the store again may remove it again. */
  readonly removed: { readonly key: Buffer; readonly revision: number } | null;
}

export const NOTHING: Anchor = { put: null, removed: null };

/** A key as it is read is part of the message it came in, which would stay in memory with it. */
export function copyOf(key: Buffer): Buffer {
  return Buffer.from(key);
}

/** compacted: the changes themselves are kept no longer, and nothing speaks against them. */
export type History = 'same' | 'compacted' | 'other';

/** The revision of the latest change. */
export function latest({ put, removed }: Anchor): number {
  return Math.max(put?.revision ?? 0, removed?.revision ?? 0);
}

/** Asks for the changes. Throws what the connection throws. */
export async function historyOf(connection: EtcdConnection, { put, removed }: Anchor): Promise<History> {
  const ask = async (key: Buffer, at: number, holds: (revision: number) => boolean): Promise<History> => {
    const held = async (revision: number): Promise<boolean> => {
      const { kvs } = await connection.call('always', (client, options) =>
        client.kv.range({ key, revision }, options),
      );
      return holds(Number(kvs[0]?.mod_revision ?? 0));
    };
    try {
      return (await held(at)) ? 'same' : 'other';
    } catch (error) {
      const text = errorText(error);
      if (/future revision/.test(text)) return 'other';
      if (!/compacted/.test(text)) throw error;
      return (await held(0)) ? 'compacted' : 'other';
    }
  };
  const found = [
    ...(put === null ? [] : [await ask(put.key, put.revision, (revision) => revision === put.revision)]),
    ...(removed === null ? [] : [await ask(removed.key, removed.revision, (revision) => revision === 0)]),
  ];
  if (found.includes('other')) return 'other';
  // What was read last is the last to be compacted.
  return found.at(-1) ?? 'compacted';
}
