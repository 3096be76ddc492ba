/** A learning Ethernet switch (IEEE 802.1D without spanning tree): the underlay between nodes and the outside host. */
import { macText } from './packet.js';

export class Switch {
  readonly #ports = new Map<string, (frame: Uint8Array) => void>();
  readonly #learned = new Map<string, string>();

  /** Frames for the station behind `port` go to `deliver`. */
  connect(port: string, deliver: (frame: Uint8Array) => void): void {
    this.#ports.set(port, deliver);
  }

  disconnect(port: string): void {
    this.#ports.delete(port);
    for (const [mac, at] of this.#learned) if (at === port) this.#learned.delete(mac);
  }

  /** A frame that came in on `port`. */
  forward(port: string, frame: Uint8Array): void {
    if (frame.length < 14) return;
    this.#learned.set(macText(frame.subarray(6, 12)), port);
    const group = (frame[0]! & 1) === 1;
    const known = group ? undefined : this.#learned.get(macText(frame.subarray(0, 6)));
    if (known !== undefined) {
      if (known !== port) this.#ports.get(known)?.(frame);
      return;
    }
    for (const [name, deliver] of this.#ports) if (name !== port) deliver(frame);
  }
}
