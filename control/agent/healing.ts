/** Tries again what failed, with growing pauses: each round repairs more than the one before it. */

/** upstream: objects compiled anew; downstream: the data plane read back and repaired; full: both, objects listed anew. */
export type ResyncKind = 'upstream' | 'downstream' | 'full';

const SEVERITY: readonly ResyncKind[] = ['upstream', 'downstream', 'full'];
const PAUSE_MS = { first: 20, most: 5000 };

export class Healing {
  #kind: ResyncKind | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pause = 0;
  #failures = 0;
  #closed = false;

  /** `resync` must settle; true = healed. */
  constructor(private readonly resync: (kind: ResyncKind) => Promise<boolean>) {}

  /** Something needs this kind of resync; the first try comes at once, later ones after pauses. */
  need(kind: ResyncKind): void {
    if (this.#closed) return;
    if (this.#kind === null || SEVERITY.indexOf(kind) > SEVERITY.indexOf(this.#kind)) this.#kind = kind;
    this.#timer ??= setTimeout(() => this.#try(), this.#pause);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #try(): void {
    const kind = this.#kind ?? 'full';
    this.#kind = null;
    this.resync(kind).then(
      (healed) => this.#done(healed, kind),
      () => this.#done(false, kind),
    );
  }

  #done(healed: boolean, kind: ResyncKind): void {
    this.#timer = null;
    this.#failures = healed ? 0 : this.#failures + 1;
    this.#pause = healed ? 0 : Math.min(Math.max(this.#pause * 2, PAUSE_MS.first), PAUSE_MS.most);
    if (!healed) this.need(this.#failures > 3 ? 'full' : kind);
    else if (this.#kind !== null) this.need(this.#kind);
  }
}
