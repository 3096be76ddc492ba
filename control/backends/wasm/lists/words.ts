/** Words of a list that is being put together or changed; changes are noted, so that copies can follow. */
import { PteropusError } from '../../../common/errors.js';

/** A section of a list has no room for a change: the list must be built anew. */
export class ListFullError extends PteropusError {
  constructor(section: string) {
    super(`the access list has no more room for ${section}`, { object: section });
  }
}

export class ListWords {
  readonly words: Uint32Array;
  #at: number[] = [];

  constructor(size: number) {
    this.words = new Uint32Array(size);
  }

  get(at: number): number {
    return this.words[at] ?? 0;
  }

  put(at: number, value: number): void {
    if (this.words[at] === value) return;
    this.words[at] = value;
    this.#at.push(at);
  }

  /** Copies all into a memory, whose list begins at word `base`. */
  copy(memory: Uint32Array, base: number): void {
    memory.set(this.words, base);
  }

  /** Writes what changed since `forget` into a copy. */
  follow(memory: Uint32Array, base: number): void {
    for (const at of this.#at) memory[base + at] = this.words[at] ?? 0;
  }

  forget(): void {
    this.#at = [];
  }
}
