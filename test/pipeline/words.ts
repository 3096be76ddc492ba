/** Addresses and MACs as the tables hold them, for tests. */

export function ip(text: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number);
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

/** The 16 bytes of an IPv6 address, from its text (RFC 4291 section 2.2; no dotted quads). */
export function ip6(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const words = (part: string) =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 255]));
}

/** As full as can be: eight groups without leading zeros. */
export function ip6Text(bytes: Uint8Array): string {
  return Array.from({ length: 8 }, (_, i) =>
    (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
  ).join(':');
}

export function ipText(word: number): string {
  return [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24].join('.');
}

export function mac(text: string): Uint8Array {
  return Uint8Array.from(text.split(':').map((part) => Number.parseInt(part, 16)));
}

export function macText(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A port in the order a little-endian load of packet bytes gives. */
export function swap16(port: number): number {
  return ((port & 255) << 8) | (port >>> 8);
}

/** Network-order mask of a prefix length. */
export function mask(length: number): number {
  const host = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
  return ((host >>> 24) | ((host >>> 8) & 0xff00) | ((host << 8) & 0xff0000) | (host << 24)) >>> 0;
}
