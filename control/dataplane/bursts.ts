/**
 * Whether packets are few. Then the worker sleeps again as soon as it has passed them on: who is woken by them may wait for this very core,
 * which the scheduler would not give him before that (a yield counts among threads of one group, and containers have groups of their own). The
 * answer wakes the worker again, at the cost of a wake-up. When packets are many it pays to look for the next ones instead.
 *
 * A conversation, one small packet to and fro at a time, is few however fast it is: the other side is always waited for. That is known of TAPs,
 * whose packets wake a worker for a microsecond; a veth's program takes an interrupt of the core's own for it.
 */
import { NO_TAP } from '../backends/wasm/xdp-feed.js';

/** A sleep of so many milliseconds ends a burst. */
const PAUSE_MS = 1;
const FEW = 32;

export class Bursts {
  #now = 0;
  #before = 0;
  #last = NO_TAP;

  /** Neither in this burst nor in the one before have there been many: after many, more will come. */
  get few(): boolean {
    return this.#now < FEW && this.#before < FEW;
  }

  /**
   * Takes note of a round that slept for so many milliseconds, if at all, and then received so many packets; `tap` is the TAP that the only
   * one came from if that was small, else NO_TAP.
   */
  note(received: number, sleptMs: number, tap: number): void {
    if (sleptMs >= PAUSE_MS) {
      this.#before = this.#now;
      this.#now = 0;
    }
    if (received === 0) return;
    if (tap !== NO_TAP && this.#last !== NO_TAP && tap !== this.#last) this.#calm();
    else this.#now = Math.min(this.#now + received, 2 * FEW);
    this.#last = tap;
  }

  #calm(): void {
    if (this.#now > 0) this.#now--;
    else if (this.#before > 0) this.#before--;
  }
}
