/** Prefixes as text: `10.1.2.0/24`. Host bits are kept. */
import type { Value } from '../api.js';
import { getAddress, putAddress, SLASH, ZERO } from './addresses.js';
import { FieldProblem, type Reader, type Writer } from './bytes.js';
import type { FixedCodec } from './codec.js';

type Write = (bytes: Buffer, at: number, text: string) => number;

/** What was written before is recognized among the last so many, more or less; a power of two. */
const RECENT = 4096;
const REMEMBERED = 2 * RECENT;
/** So many texts are looked for in vain before no more are, until something comes again. */
const PATIENCE = 256;

/** What `digit` makes of a dot and of a slash. */
const DOT = 30;
const SLASH_DIGIT = 31;

interface Known {
  /** Of IPv4. */
  readonly address: number;
  readonly length: number;
  /** Of IPv6: all that is written. */
  readonly six: Uint8Array | null;
}

/**
 * Type `prefix`: an address with its family, and the length. Access lists are made of them, tens of thousands at a time. Rules of one
 * peer follow each other or all name the same network: the last prefix is kept. The same peers are in list after list: what comes again is
 * remembered by its text, which takes half as long as reading it. What does not come again is read, and costs no more than that.
 * Hence one codec for each field.
 */
export class PrefixCodec implements FixedCodec {
  readonly size = 18;
  readonly initial = new Uint8Array(18);
  /** The last prefix, and whether the one before it was the same: then it is likely to come again, and worth comparing. */
  #text: Value = '0.0.0.0/0';
  #address = 0;
  #length = 0;
  #six: Uint8Array | null = null;
  #again = true;
  readonly #known = new Map<Value, Known>();
  #patience = 0;
  /** What was read, by fingerprint. */
  #recent: Int32Array | undefined;

  put(into: Writer, at: number, value: Value): void {
    if (!this.#again || value !== this.#text) this.#find(value);
    const { bytes } = into;
    const six = this.#six;
    if (six !== null) {
      for (let i = 0; i < six.length; i++) bytes[at + i] = six[i] as number;
      return;
    }
    const address = this.#address;
    bytes[at] = 0;
    bytes[at + 1] = address >>> 24;
    bytes[at + 2] = address >>> 16;
    bytes[at + 3] = address >>> 8;
    bytes[at + 4] = address;
    bytes[at + 17] = this.#length;
  }

  /** Makes it the last one. Throws FieldProblem. */
  #find(text: Value): void {
    if (this.#patience > 0) {
      const known = this.#known.get(text);
      if (known !== undefined) {
        this.#keep(text, known.address, known.length, known.six);
        return;
      }
      this.#patience--;
    }
    this.#read(text);
    const print = fingerprint(this.#address, this.#length, this.#six);
    this.#recent ??= new Int32Array(RECENT);
    const slot = (print ^ (print >>> 12)) & (RECENT - 1);
    if (this.#recent[slot] !== print) {
      this.#recent[slot] = print;
      return;
    }
    this.#patience = PATIENCE;
    if (this.#known.size === REMEMBERED) this.#known.clear();
    this.#known.set(text, { address: this.#address, length: this.#length, six: this.#six });
  }

  #keep(text: Value, address: number, length: number, six: Uint8Array | null): void {
    this.#again = six === this.#six && address === this.#address && length === this.#length;
    this.#text = text;
    this.#address = address;
    this.#length = length;
    this.#six = six;
  }

  #read(text: Value): void {
    if (typeof text !== 'string') throw noPrefix(text);
    if (this.#readIp4(text)) return;
    const bytes = Buffer.alloc(this.size);
    if (putPrefix(bytes, 0, text) !== text.length) throw noPrefix(text);
    this.#keep(text, 0, 0, bytes);
  }

  /** False: it is something else. */
  #readIp4(text: string): boolean {
    let i = 0;
    let address = 0;
    for (let octets = 1; ; octets++) {
      let octet = digit(text, i);
      if (octet > 9) return false;
      let next = digit(text, ++i);
      if (octet !== 0 && next <= 9) {
        octet = 10 * octet + next;
        next = digit(text, ++i);
        if (next <= 9) {
          octet = 10 * octet + next;
          if (octet > 255) return false;
          next = digit(text, ++i);
        }
      }
      address = (address << 8) | octet;
      i++;
      if (octets === 4) {
        if (next !== SLASH_DIGIT) return false;
        break;
      }
      if (next !== DOT) return false;
    }
    const length = decimal(text, i);
    if (length < 0 || length > 32) return false;
    this.#keep(text, address, length, null);
    return true;
  }

  read(from: Reader): Value {
    const at = from.take(this.size);
    return `${getAddress(from.bytes, at)}/${from.bytes[at + 17]}`;
  }
}

/** What a character is as a digit; more than 9: it is none. */
function digit(text: string, at: number): number {
  return text.charCodeAt(at) ^ ZERO;
}

/** Equal for equal prefixes, and for few others, which are remembered for nothing. */
function fingerprint(address: number, length: number, six: Uint8Array | null): number {
  let print = Math.imul(address, 33) + length;
  for (let i = 0; six !== null && i < six.length; i++) print = Math.imul(print, 31) + (six[i] as number);
  return print | 0;
}

function noPrefix(value: unknown): FieldProblem {
  return new FieldProblem('must be an address and a prefix length (10.1.2.0/24)', value);
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
