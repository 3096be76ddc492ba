/** Connections VPP keeps in mind, all kinds together: the policies' sessions, and those of translated addresses. */
import type { Counters } from '../../backend.js';
import type { InForce } from '../observe.js';
import { simpleAt } from '../stats/values.js';
import { Growth } from './growth.js';
import type { Sample } from './sample.js';

/** Of the ACL plugin, since VPP started. */
export interface AclSessions {
  readonly added: number;
  readonly deleted: number;
}

/** Reads what `show acl-plugin sessions` prints; null: it does not say. */
export function parseAclSessions(text: string): AclSessions | null {
  const found = /Sessions total: add (\d+) - del (\d+) = /.exec(text);
  return found === null ? null : { added: Number(found[1]), deleted: Number(found[2]) };
}

export class SessionCounter {
  readonly #growth = new Growth();
  #created = 0;
  #expired = 0;

  /** @param translated connections to services that were ever made */
  async add(sample: Sample, { api }: InForce, translated: number): Promise<Counters['sessions']> {
    const acl = parseAclSessions(await api.cli('show acl-plugin sessions')) ?? { added: 0, deleted: 0 };
    const added = this.#growth.of('added', acl.added) + this.#growth.of('translated', translated);
    this.#created += added;
    this.#expired += this.#growth.of('deleted', acl.deleted);
    const nat = sample.natSessions + cnatSessions(sample);
    return {
      active: acl.added - acl.deleted + nat,
      created: this.#created,
      // Room for a new one is made of one that has been idle, and VPP counts it as any that ended.
      evicted: 0,
      expired: this.#expired,
    };
  }
}

function cnatSessions({ values }: Sample): number {
  const value = values.get('/cnat/sessions/total');
  return value?.type === 'scalar' ? value.value : simpleAt(value, 0);
}
