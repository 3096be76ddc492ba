/**
 * ADDs under way. An ADD may wait (for the pod's object, for its turn) while its caller has given up and sent DEL: then it must
 * not wire what nobody would ever unwire.
 */
import { CNI } from '../cni/codes.js';
import { CniError } from '../cni/errors.js';

export interface PendingAdd {
  /** Throws CniError (11) if a DEL or GC has called it off. */
  check(): void;
  /** It is over, either way. */
  end(): void;
}

interface Entry {
  readonly network: string;
  calledOff: boolean;
}

export class PendingAdds {
  readonly #adds = new Map<string, Set<Entry>>();

  /** `sandbox` as sandboxKey has it. */
  begin(sandbox: string, network: string): PendingAdd {
    const entry: Entry = { network, calledOff: false };
    const adds = this.#adds.get(sandbox) ?? new Set();
    this.#adds.set(sandbox, adds.add(entry));
    return {
      check: () => {
        if (entry.calledOff)
          throw new CniError(CNI.tryAgainLater, 'called off: the sandbox was given up meanwhile');
      },
      end: () => {
        adds.delete(entry);
        if (adds.size === 0 && this.#adds.get(sandbox) === adds) this.#adds.delete(sandbox);
      },
    };
  }

  /** DEL: whatever has not begun to be wired will not be. */
  callOff(sandbox: string): void {
    for (const entry of this.#adds.get(sandbox) ?? []) entry.calledOff = true;
  }

  /** GC: the same for all of a network but those of `valid`. */
  callOffOthers(network: string, valid: ReadonlySet<string>): void {
    for (const [sandbox, adds] of this.#adds) {
      if (valid.has(sandbox)) continue;
      for (const entry of adds) if (entry.network === network) entry.calledOff = true;
    }
  }
}
