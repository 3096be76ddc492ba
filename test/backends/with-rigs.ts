/** Closes what a test opened, however it ends. */
import type { OpenRig, Rig } from './rig.js';

/** Runs `body` with an `open` that remembers its rigs, and closes them all. */
export async function withRigs(open: OpenRig, body: (open: OpenRig) => Promise<void>): Promise<void> {
  const rigs: Rig[] = [];
  try {
    await body(async () => {
      const rig = await open();
      rigs.push(rig);
      return rig;
    });
  } finally {
    for (const rig of rigs) await rig.close();
  }
}
