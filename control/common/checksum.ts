/** Checksums of what we keep on disk: they tell damage and torn writes, not an attacker's work. */
import { createHash } from 'node:crypto';

/** The first 64 bits of SHA-256 over the UTF-8 bytes, as 16 hex digits. */
export function checksum(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 16);
}
