/** Which services claim a frontend: by the difference that a change makes, since a NodePort has a frontend on each of 1,000 nodes. */
import { withoutEnds } from '../../common/ends.js';
import { ReverseIndex } from '../../model/reverse-index.js';
import type { Frontend, ServiceItem } from '../../ruleset/types.js';

/** More that are gone than this are not looked for one by one. */
const MOST_GONE = 32;

const NONE: readonly Frontend[] = [];

export class Claims {
  private readonly names = new ReverseIndex<string>();
  private readonly contested = new Set<string>();

  /** Whether no two services claim the same. */
  get peaceful(): boolean {
    return this.contested.size === 0;
  }

  /** The service `name` had the items `old` and has `now`; `shared` gets the others that claim what it gave up or took. */
  change(name: string, old: readonly ServiceItem[], now: readonly ServiceItem[], shared: Set<string>): void {
    const { gone, come } = differences(old, now);
    const kept = gone.size > MOST_GONE ? new Set(claimsOf(now)) : null;
    for (const [claim, { item, frontend }] of gone) {
      if (kept === null ? claimsAlso(now, item, frontend) : kept.has(claim)) continue;
      this.names.delete(claim, name);
      this.settled(claim, name, shared);
    }
    for (const claim of come) {
      this.names.add(claim, name);
      this.settled(claim, name, shared);
    }
  }

  /** The first service by name wins. */
  wins(name: string, item: ServiceItem, frontend: Frontend): boolean {
    for (const other of this.names.get(claimOf(item, frontend))) if (other < name) return false;
    return true;
  }

  private settled(claim: string, name: string, shared: Set<string>): void {
    if (this.names.count(claim) > 1) this.contested.add(claim);
    else this.contested.delete(claim);
    for (const other of this.names.get(claim)) if (other !== name) shared.add(other);
  }
}

/** Whether items of one service claim something twice; may say so where they do not. All frontends of an item have one port. */
export function claimTwice(items: readonly ServiceItem[]): boolean {
  return items.some((item, i) => {
    const { frontends } = item;
    if (frontends.some((frontend, n) => n > 0 && sameFrontend(frontend, frontends[n - 1]))) return true;
    return items.slice(i + 1).some((other) => {
      if (other.protocol !== item.protocol || other.frontends[0]?.port !== frontends[0]?.port) return false;
      const [few, many] =
        frontends.length < other.frontends.length
          ? [frontends, other.frontends]
          : [other.frontends, frontends];
      return few.length > 8 || few.some((one) => many.some((another) => sameFrontend(one, another)));
    });
  });
}

interface Differences {
  readonly gone: ReadonlyMap<string, { readonly item: ServiceItem; readonly frontend: Frontend }>;
  readonly come: ReadonlySet<string>;
}

/** What items with the same key no longer claim, and what they claim that they did not; others may claim it as well. */
function differences(old: readonly ServiceItem[], now: readonly ServiceItem[]): Differences {
  const gone = new Map<string, { readonly item: ServiceItem; readonly frontend: Frontend }>();
  const come = new Set<string>();
  const before = new Map(old.map((item) => [item.key, item]));
  for (const item of now) {
    const was = before.get(item.key);
    before.delete(item.key);
    const [a, b] = withoutEnds(was?.frontends ?? NONE, item.frontends, sameFrontend);
    if (was !== undefined)
      for (const frontend of a) gone.set(claimOf(was, frontend), { item: was, frontend });
    for (const frontend of b) come.add(claimOf(item, frontend));
  }
  for (const item of before.values()) {
    for (const frontend of item.frontends) gone.set(claimOf(item, frontend), { item, frontend });
  }
  return { gone, come };
}

function claimsAlso(items: readonly ServiceItem[], { protocol }: ServiceItem, frontend: Frontend): boolean {
  return items.some(
    (item) => item.protocol === protocol && item.frontends.some((other) => sameFrontend(other, frontend)),
  );
}

function sameFrontend(a: Frontend | undefined, b: Frontend | undefined): boolean {
  return a !== undefined && b !== undefined && a.port === b.port && a.address === b.address;
}

function claimOf({ protocol }: ServiceItem, { address, port }: Frontend): string {
  // Joined, it is one string in memory; put together by a template it would be a tree of three.
  return [address, port, protocol].join(' ');
}

function claimsOf(items: readonly ServiceItem[]): readonly string[] {
  return items.flatMap((item) => item.frontends.map((frontend) => claimOf(item, frontend)));
}
