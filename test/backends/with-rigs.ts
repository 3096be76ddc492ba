/** Tests on rigs: what a test opened is closed, however it ends, and what a backend cannot do is not asked of it. */
import type { Test } from 'uvu';
import type { Capability, OpenRig, Rig } from './rig.js';

/** Registers a test; `needs`: what not every backend can do. */
export type Run = (
  name: string,
  body: (open: OpenRig) => Promise<void>,
  needs?: readonly Capability[],
) => void;

export function runOn(test: Test, open: OpenRig): Run {
  return (name, body, needs = []) => {
    const why = needs.map((need) => open.lacks?.get(need)).find((reason) => reason !== undefined);
    if (why === undefined) return test(name, () => withRigs(open, body));
    process.stdout.write(`skipped: ${open.kind ?? ''}: ${name}: ${why}\n`);
    test.skip(name);
  };
}

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
