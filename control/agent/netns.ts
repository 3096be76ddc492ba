import { statSync } from 'node:fs';

/** Whether two paths stand for one network namespace. Throws what stat throws. */
export function sameNamespace(a: string, b: string): boolean {
  const [one, other] = [statSync(a), statSync(b)];
  return one.ino === other.ino && one.dev === other.dev;
}
