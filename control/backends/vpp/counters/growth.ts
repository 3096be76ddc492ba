/** Counts that only grow, whatever their source does: VPP starts at 0 again when a thing is made anew. */

export class Growth {
  readonly #last = new Map<string, number>();
  readonly #identities = new Map<string, unknown>();

  /**
   * How much a count has grown since it was last seen. One that is lower, or of another thing than before (identity), started at 0.
   */
  of(key: string, count: number, identity: unknown = null): number {
    const before = this.#identities.get(key) === identity ? (this.#last.get(key) ?? 0) : 0;
    this.#last.set(key, count);
    this.#identities.set(key, identity);
    return count >= before ? count - before : count;
  }

  /** Forgets the counts whose keys are not among these. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#last.keys()) {
      if (keys.has(key)) continue;
      this.#last.delete(key);
      this.#identities.delete(key);
    }
  }
}
