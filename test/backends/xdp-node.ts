/** What the tests of a data plane's worker threads share. */
import { setTimeout as wait } from 'node:timers/promises';
import { TestNode } from './node.js';
import type { XdpRig } from './xdp-rig.js';

/** Looks every 10 ms, 500 times; throws when it never became so. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (condition()) return;
    await wait(10);
  }
  throw new Error(`never: ${what}`);
}

/** Runs `body` with a node over a rig that `open` makes; every rig is closed at the end. */
export async function withXdpNode(
  open: () => Promise<XdpRig>,
  body: (node: TestNode, rig: XdpRig) => Promise<void>,
): Promise<void> {
  const opened: XdpRig[] = [];
  try {
    const node = await TestNode.open(async () => {
      const rig = await open();
      opened.push(rig);
      return rig;
    });
    await body(node, opened[0] as XdpRig);
  } finally {
    for (const rig of opened) await rig.close();
  }
}
