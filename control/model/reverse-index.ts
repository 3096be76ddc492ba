/** Key -> members. Most keys have one member, so a set is made only for a second one. */
export class ReverseIndex<T extends string | { readonly key: string }> {
  readonly #members = new Map<string, T | Set<T>>();
  #shared = 0;

  /** How many keys have, or had since their last member came alone, several members. */
  get shared(): number {
    return this.#shared;
  }

  add(key: string, member: T): void {
    const known = this.#members.get(key);
    if (known === undefined) this.#members.set(key, member);
    else if (known instanceof Set) known.add(member);
    else if (known !== member) {
      this.#members.set(key, new Set([known, member]));
      this.#shared++;
    }
  }

  delete(key: string, member: T): void {
    const known = this.#members.get(key);
    if (known === member) this.#members.delete(key);
    if (!(known instanceof Set)) return;
    known.delete(member);
    if (known.size > 0) return;
    this.#members.delete(key);
    this.#shared--;
  }

  count(key: string): number {
    const known = this.#members.get(key);
    if (known === undefined) return 0;
    return known instanceof Set ? known.size : 1;
  }

  /** Whether the key has a member that is not this one. */
  hasOther(key: string, member: T): boolean {
    const known = this.#members.get(key);
    if (known === undefined || known === member) return false;
    return !(known instanceof Set) || known.size > 1 || !known.has(member);
  }

  get(key: string): Iterable<T> {
    const known = this.#members.get(key);
    if (known === undefined) return [];
    return known instanceof Set ? known : [known];
  }
}
