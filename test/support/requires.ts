/** Tests that need something of the machine: skipped with a printed reason where it is missing. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { Test } from 'uvu';

export type Requirement = string | null;

/** null when met, else why not. */
export function root(): Requirement {
  return process.platform === 'linux' && process.getuid?.() === 0 ? null : 'needs root on Linux';
}

export function program(name: string): Requirement {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0 ? null : `needs ${name}`;
}

export function file(path: string): Requirement {
  return existsSync(path) ? null : `needs ${path}`;
}

/** At least this version of Linux: `kernel(6, 6)`. */
export function kernel(major: number, minor: number): Requirement {
  const [ours = 0, less = 0] = release().split('.').map(Number);
  const newer = ours > major || (ours === major && less >= minor);
  return process.platform === 'linux' && newer ? null : `needs Linux ${major}.${minor}`;
}

/** `testIf(test, root(), program('tshark'))('name', …)`: the test, or a skip that says why. */
export function testIf<T>(test: Test<T>, ...needs: readonly Requirement[]): Test<T> | Test<T>['skip'] {
  const missing = needs.filter((need): need is string => need !== null);
  if (missing.length === 0) return test;
  return ((name: string, body: () => void) => {
    process.stdout.write(`skipped: ${name}: ${missing.join(', ')}\n`);
    test.skip(name, body);
  }) as Test<T>['skip'];
}
