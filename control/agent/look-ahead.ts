/** Work that later events would have to wait for, done in pieces when the agent has nothing else to do. */

/** Longest time, in milliseconds, that a turn takes, but for one piece: an event that comes meanwhile waits no longer than that. */
const TURN_MS = 2;

export class LookAhead {
  #turn: NodeJS.Immediate | null = null;
  #closed = false;

  /** `piece` does a piece, and says whether there is more; `done` is called each time that nothing is left. */
  constructor(
    private readonly piece: () => boolean,
    private readonly done: () => void = () => undefined,
  ) {}

  /** There may be something to do. */
  wake(): void {
    if (this.#closed || this.#turn !== null) return;
    // Whatever waits already comes first, and it keeps nobody from ending.
    this.#turn = setImmediate(() => {
      this.#turn = null;
      if (this.#work()) this.wake();
      else this.done();
    }).unref();
  }

  close(): void {
    this.#closed = true;
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
  }

  #work(): boolean {
    const end = performance.now() + TURN_MS;
    while (this.piece()) if (performance.now() > end) return true;
    return false;
  }
}
