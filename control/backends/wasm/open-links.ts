/** The links that are open in the feed, kept in line with the interfaces in force. */

import { errorText, PteropusError } from '../../common/errors.js';
import type { InterfaceItem, Key } from '../../ruleset/types.js';
import { PortError } from './errors.js';
import type { Link } from './feed.js';
import type { Ports } from './ports.js';
import type { Runner } from './runner.js';

interface Opened {
  readonly link: Link;
  readonly key: Key;
}

/** What one transaction does to the links: `open` before it is published, `finish` after. */
export interface LinkPlan {
  /** Opens what is new. If that fails all is as before, and the error (object = the interface's key) is thrown. */
  open(): Promise<void>;
  /** Closes what is not needed any more. */
  finish(): Promise<void>;
}

export class OpenLinks {
  #open = new Map<number, Opened>();

  constructor(readonly runner: Runner) {}

  plan(ports: Ports): LinkPlan {
    const wanted = new Map<number, Opened>();
    for (const [port, key] of ports.indexes()) {
      const item = ports.itemOf(key);
      if (item !== undefined) wanted.set(port, { key, link: linkOf(item) });
    }
    const before = this.#open;
    const fresh = [...wanted].filter(([port, { link }]) => !sameLink(before.get(port)?.link, link));
    const names = new Set(fresh.map(([, { link }]) => link.name));
    const stale = [...before].filter(([port, { link }]) => !sameLink(wanted.get(port)?.link, link));
    // A link (or a port number) that is opened anew must be closed first; all others stay open until the change is in force.
    const early = stale.filter(([port, { link }]) => wanted.has(port) || names.has(link.name));
    const late = stale.filter((entry) => !early.includes(entry));
    return {
      open: async () => {
        const opened: number[] = [];
        for (const [port] of early) await this.runner.closePort(port);
        try {
          // Side by side: one is opened while the next one is asked for.
          const openings = fresh.map(async ([port, { key, link }]) => {
            await this.#openOne(port, key, link);
            opened.push(port);
          });
          await allOrFirstError(openings);
        } catch (error) {
          for (const port of opened) await this.runner.closePort(port);
          for (const [port, { link }] of early) await this.runner.openPort(port, link).catch(() => undefined);
          throw error;
        }
        this.#open = wanted;
      },
      finish: async () => {
        for (const [port] of late) await this.runner.closePort(port);
      },
    };
  }

  async #openOne(port: number, key: Key, link: Link): Promise<void> {
    try {
      await this.runner.openPort(port, link);
    } catch (cause) {
      const retryable = cause instanceof PteropusError && cause.retryable;
      throw new PortError(`the link ${link.name} cannot be opened: ${errorText(cause)}`, {
        object: key,
        cause,
        retryable,
      });
    }
  }
}

/** Waits for all of them to end before it throws what the first one failed with. */
async function allOrFirstError(work: readonly Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(work);
  const failure = ends.find((end) => end.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

function linkOf({ role, link: name, mtu, tap }: InterfaceItem): Link {
  return { name, mtu, pod: role === 'pod', ...(tap === undefined ? {} : { tap }) };
}

function sameLink(a: Link | undefined, b: Link): boolean {
  if (a === undefined || a.name !== b.name || a.mtu !== b.mtu) return false;
  return a.tap?.netns === b.tap?.netns && a.tap?.ifname === b.tap?.ifname;
}
