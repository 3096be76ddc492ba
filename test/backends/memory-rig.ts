/** A rig over the memory feed: no privileges, one process. */

import { activeImageAt, wordsOf } from '../../control/backends/wasm/memory.js';
import { MemoryLinks } from '../../control/backends/wasm/memory-feed.js';
import { openWithMemory } from '../../control/backends/wasm/open.js';
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';
import type { Rig } from './rig.js';

/** Turns of the event loop in which everything sent so far has been through all nodes. */
const TURNS = 20;

export async function openMemoryRig(workers = 1): Promise<Rig> {
  const random = new Random(workers);
  const links = new MemoryLinks();
  const { backend, memory, plan } = await openWithMemory({
    feed: links,
    memory: { sessionsLog2: 14, frameCount: 1024, seed: 7, workers },
    choose: (n) => random.below(n),
  });
  return {
    backend,
    attach: async (link, receive) => links.attach(link, receive),
    send: (link, frame) => void links.send(link, frame),
    settle: async () => {
      for (let i = 0; i < TURNS; i++) await new Promise((resolve) => setImmediate(resolve));
    },
    tamper: async () => {
      const words = wordsOf(memory);
      const image = Atomics.load(words, activeImageAt(plan) >>> 2);
      const section = (header: number): number => (image + (words[(image + header) >>> 2] ?? 0)) >>> 2;
      // Half of the address table's slots, in use or not, and the first port.
      words.fill(0, section(L.IMG_LPM4), section(L.IMG_LPM4) + 2 ** 18);
      words.fill(0xdeadbeef, section(L.IMG_PORTS), section(L.IMG_PORTS) + 8);
    },
    close: () => backend.close(),
  };
}
