/**
 * Whether the worker's thread comes before others in the scheduler. What it does for pods is what the kernel's own forwarding does in
 * softirqs, ahead of every thread; looking for packets is not. So it is urgent once most of the time it was awake went to packets.
 */

/** Milliseconds awake after which it is decided anew: a burst ends within it, and changing costs a microsecond. */
const WINDOW_MS = 2;
const URGENT_FROM = 0.5;
/** Lower, so that a load near the border does not change it all the time. */
const URGENT_UNTIL = 0.25;

export class Urgency {
  #working = 0;
  #awake = 0;
  #urgent = false;

  /** @param spare a core stays for everybody else; without one (a node of one core) a flood would stop the node, so nothing is urgent */
  constructor(readonly spare = true) {}

  get urgent(): boolean {
    return this.#urgent;
  }

  /** Takes note of a round of so many milliseconds, without sleep and without turns of others; true if `urgent` changed by it. */
  note(milliseconds: number, packets: boolean): boolean {
    this.#awake += milliseconds;
    if (packets) this.#working += milliseconds;
    if (this.#awake < WINDOW_MS) return false;
    const before = this.#urgent;
    this.#urgent = this.spare && this.#working >= this.#awake * (before ? URGENT_UNTIL : URGENT_FROM);
    this.#awake = this.#working = 0;
    return this.#urgent !== before;
  }

  /** There is little to do, and no looking; true if it was urgent until now. */
  end(): boolean {
    const before = this.#urgent;
    this.#awake = this.#working = 0;
    this.#urgent = false;
    return before;
  }
}
