/**
 * Where a worker that looks for packets does so. It may run anywhere, and the scheduler moves it to an idle core sooner or later. Where packets
 * come one by one it is better off on the core of who sends them: client and server that share a core wait for each other, and whoever is woken
 * from another core takes an interrupt between cores, which is most of a round trip on a virtual machine. So it stays where it slept last
 * (native/tap/berth.h), and sleeps once in a while although packets come, since only who wakes it tells where they come from.
 */

/** One side of a conversation has no more packets under way. */
const LONE = 2;
/** Rounds with so few that have to come before it counts as one. */
const SURE = 32;
/** Rounds with packets between two sleeps: in less than one of a hundred somebody waits for a wake-up. Odd: both sides of a conversation have their turn. */
const ROUNDS = 257;

export class Lookout {
  #crowd = SURE;
  #rounds = 0;

  /** Packets come one by one, however many they are. */
  get lone(): boolean {
    return this.#crowd === 0;
  }

  /** It is time to sleep, to learn who wakes. */
  get asks(): boolean {
    return this.#rounds >= ROUNDS;
  }

  /**
   * Takes note of a round that received so many packets, of which the first was small and came from a veth (the cores that TAPs' streams
   * want are another matter, and bursts.ts knows their conversations); `asked`: it slept.
   */
  note(received: number, small: boolean, asked: boolean): void {
    if (asked) this.#rounds = 0;
    if (received === 0) return;
    this.#rounds++;
    if (received > LONE || !small) this.#crowd = SURE;
    else if (this.#crowd > 0) this.#crowd--;
  }
}
