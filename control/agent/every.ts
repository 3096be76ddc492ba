/** Does something again and again, never twice at a time; a failure is the action's own business. */
export class Every {
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** `intervalMs`: pause between the end of one turn and the next; 0 = never. Does not keep the process alive. */
  constructor(
    private readonly intervalMs: number,
    private readonly action: () => Promise<unknown>,
  ) {
    this.#next();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #next(): void {
    if (this.#closed || this.intervalMs <= 0) return;
    this.#timer = setTimeout(() => {
      this.action().then(
        () => this.#next(),
        () => this.#next(),
      );
    }, this.intervalMs).unref();
  }
}
