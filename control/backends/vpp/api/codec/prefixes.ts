/** Prefixes as text: `10.1.2.0/24`. Host bits are kept. */
import type { Value } from '../api.js';
import { getAddress, putAddress, SLASH, ZERO } from './addresses.js';
import { FieldProblem, type Reader, type Writer } from './bytes.js';
import type { FixedCodec } from './codec.js';

type Write = (bytes: Buffer, at: number, text: string) => number;

/** So many texts are remembered. */
const REMEMBERED = 16_384;

/** A prefix that was written before. */
interface Known {
  readonly text: string;
  /** Of IPv4. */
  readonly address: number;
  readonly length: number;
  /** Of IPv6: all that is written. */
  readonly six: Uint8Array | null;
}

/**
 * Type `prefix`: an address with its family, and the length. Access lists are made of them, the same peers in list after list, and rules
 * of one peer follow each other or all name the same network: what was written before is remembered by its text, the last one
 * without looking. Hence one codec for each field.
 */
export class PrefixCodec implements FixedCodec {
  readonly size = 18;
  readonly initial = new Uint8Array(18);
  readonly #known = new Map<Value, Known>();
  #last: Known = { text: '0.0.0.0/0', address: 0, length: 0, six: null };
  /** Whether that was the one before it, too: then it is likely to come again, and worth comparing. */
  #again = true;

  put(into: Writer, at: number, value: Value): void {
    const { bytes } = into;
    let found = this.#last;
    if (!this.#again || value !== found.text) {
      const other = this.#known.get(value) ?? this.#read(value);
      this.#again = other === found;
      this.#last = other;
      found = other;
    }
    const { address, length, six } = found;
    if (six !== null) {
      for (let i = 0; i < six.length; i++) bytes[at + i] = six[i] as number;
      return;
    }
    bytes[at] = 0;
    bytes[at + 1] = address >>> 24;
    bytes[at + 2] = address >>> 16;
    bytes[at + 3] = address >>> 8;
    bytes[at + 4] = address;
    bytes[at + 17] = length;
  }

  /** Throws FieldProblem. */
  #read(text: Value): Known {
    const bytes = Buffer.alloc(this.size);
    if (typeof text !== 'string' || putPrefix(bytes, 0, text) !== text.length) {
      throw new FieldProblem('must be an address and a prefix length (10.1.2.0/24)', text);
    }
    const known: Known = {
      text,
      address: bytes.readUInt32BE(1),
      length: bytes[17] as number,
      six: bytes[0] === 0 ? null : bytes,
    };
    if (this.#known.size === REMEMBERED) this.#known.clear();
    this.#known.set(text, known);
    return known;
  }

  read(from: Reader): Value {
    const at = from.take(this.size);
    return `${getAddress(from.bytes, at)}/${from.bytes[at + 17]}`;
  }
}

const putPrefix = prefix(17, putAddress, 128);

/** Writes `ADDRESS/LENGTH`: the address by `write`, the length behind its `size` bytes (17: the first is the family). */
export function prefix(size: number, write: Write, limit: 32 | 128): Write {
  return (bytes, at, text) => {
    const end = write(bytes, at, text);
    if (end === 0 || text.charCodeAt(end) !== SLASH) return 0;
    const length = decimal(text, end + 1);
    if (length < 0 || length > (size === 17 && bytes[at] === 0 ? 32 : limit)) return 0;
    bytes[at + size] = length;
    return text.length;
  };
}

/** One to three digits from `start` to the end; -1 if it is anything else. */
function decimal(text: string, start: number): number {
  const digits = text.length - start;
  if (digits < 1 || digits > 3) return -1;
  let number = 0;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i) - ZERO;
    if (code < 0 || code > 9) return -1;
    number = number * 10 + code;
  }
  return number;
}
