/** Codecs of the base types. */
import { endianness } from 'node:os';
import type { Value } from '../api.js';
import { DecodeError } from '../errors.js';
import { FieldProblem, type Reader, type Writer } from './bytes.js';
import type { FixedCodec, VariableCodec } from './codec.js';

function wholeNumber(low: number, high: number, value: Value): FieldProblem {
  return new FieldProblem(`must be a whole number from ${low} to ${high}`, value);
}

const unsigned8: FixedCodec = {
  size: 1,
  initial: new Uint8Array(1),
  unsigned: {},
  put({ bytes }, at, value) {
    const number = (value as number) >>> 0;
    if (number !== value || number > 0xff) throw wholeNumber(0, 0xff, value);
    bytes[at] = number;
  },
  read: (from) => from.bytes.readUInt8(from.take(1)),
};

const unsigned16: FixedCodec = {
  size: 2,
  initial: new Uint8Array(2),
  unsigned: {},
  put({ bytes }, at, value) {
    const number = (value as number) >>> 0;
    if (number !== value || number > 0xffff) throw wholeNumber(0, 0xffff, value);
    bytes[at] = number >>> 8;
    bytes[at + 1] = number;
  },
  read: (from) => from.bytes.readUInt16BE(from.take(2)),
};

const unsigned32: FixedCodec = {
  size: 4,
  initial: new Uint8Array(4),
  unsigned: {},
  put({ bytes }, at, value) {
    const number = (value as number) >>> 0;
    if (number !== value) throw wholeNumber(0, 0xffffffff, value);
    bytes[at] = number >>> 24;
    bytes[at + 1] = number >>> 16;
    bytes[at + 2] = number >>> 8;
    bytes[at + 3] = number;
  },
  read: (from) => from.bytes.readUInt32BE(from.take(4)),
};

/** @param write one of Buffer's, which are slower than the above but rare */
function signed(
  size: number,
  write: (bytes: Buffer, at: number, value: number) => void,
  read: (bytes: Buffer, at: number) => number,
): FixedCodec {
  const high = 2 ** (8 * size - 1) - 1;
  return {
    size,
    initial: new Uint8Array(size),
    put(into, at, value) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < -high - 1 || value > high) {
        throw wholeNumber(-high - 1, high, value);
      }
      write(into.bytes, at, value);
    },
    read: (from) => read(from.bytes, from.take(size)),
  };
}

function integer64(low: bigint, high: bigint, signed: boolean): FixedCodec {
  return {
    size: 8,
    initial: new Uint8Array(8),
    put(into, at, value) {
      const given = asBigint(value);
      if (typeof given !== 'bigint' || given < low || given > high) {
        throw new FieldProblem(`must be a bigint from ${low} to ${high}`, value);
      }
      if (signed) into.bytes.writeBigInt64BE(given, at);
      else into.bytes.writeBigUInt64BE(given, at);
    },
    read(from) {
      const at = from.take(8);
      return signed ? from.bytes.readBigInt64BE(at) : from.bytes.readBigUInt64BE(at);
    },
  };
}

/** Also whole numbers and, as JSON has it (see json.ts), their digits. */
function asBigint(value: Value): Value {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : value;
}

const LITTLE = endianness() === 'LE';

const double: FixedCodec = {
  size: 8,
  initial: new Uint8Array(8),
  put(into, at, value) {
    if (typeof value !== 'number') throw new FieldProblem('must be a number', value);
    if (LITTLE) into.bytes.writeDoubleLE(value, at);
    else into.bytes.writeDoubleBE(value, at);
  },
  read(from) {
    const at = from.take(8);
    return LITTLE ? from.bytes.readDoubleLE(at) : from.bytes.readDoubleBE(at);
  },
};

const bool: FixedCodec = {
  size: 1,
  initial: new Uint8Array(1),
  put(into, at, value) {
    if (typeof value !== 'boolean') throw new FieldProblem('must be true or false', value);
    into.bytes[at] = value ? 1 : 0;
  },
  read: (from) => from.bytes[from.take(1)] !== 0,
};

export const BASE: ReadonlyMap<string, FixedCodec> = new Map([
  ['u8', unsigned8],
  ['u16', unsigned16],
  ['u32', unsigned32],
  [
    'i8',
    signed(
      1,
      (bytes, at, value) => bytes.writeInt8(value, at),
      (bytes, at) => bytes.readInt8(at),
    ),
  ],
  [
    'i16',
    signed(
      2,
      (bytes, at, value) => bytes.writeInt16BE(value, at),
      (bytes, at) => bytes.readInt16BE(at),
    ),
  ],
  [
    'i32',
    signed(
      4,
      (bytes, at, value) => bytes.writeInt32BE(value, at),
      (bytes, at) => bytes.readInt32BE(at),
    ),
  ],
  ['u64', integer64(0n, 0xffffffffffffffffn, false)],
  ['i64', integer64(-0x8000000000000000n, 0x7fffffffffffffffn, true)],
  ['f64', double],
  ['bool', bool],
]);

function text(value: Value | undefined): string {
  if (typeof value !== 'string') throw new FieldProblem('must be text', value);
  return value;
}

/** NUL-padded to `length` bytes, of which the last is NUL always. */
export function fixedString(length: number): FixedCodec {
  return {
    size: length,
    initial: new Uint8Array(length),
    put(into, at, value) {
      const given = text(value);
      if (given === '') return;
      if (given.includes('\0')) throw new FieldProblem('must not hold a NUL character', value);
      if (Buffer.byteLength(given) >= length) {
        throw new FieldProblem(`must have at most ${length - 1} bytes`, value);
      }
      into.bytes.write(given, at);
    },
    read(from) {
      const at = from.take(length);
      const nul = from.bytes.subarray(at, at + length).indexOf(0);
      return from.bytes.toString('utf8', at, nul < 0 ? at + length : at + nul);
    },
  };
}

/** Its length in bytes (u32), then the bytes. */
export const variableString: VariableCodec = {
  size: undefined,
  least: 4,
  append(into: Writer, value: Value | undefined) {
    const given = value === undefined ? '' : text(value);
    const size = Buffer.byteLength(given);
    const at = into.reserve(4 + size);
    into.bytes.writeUInt32BE(size, at);
    into.bytes.write(given, at + 4);
  },
  read(from: Reader) {
    const size = from.bytes.readUInt32BE(from.take(4));
    if (size > from.left) throw new DecodeError(`text of ${size} bytes, ${from.left} are left`);
    const at = from.take(size);
    // Some commands end their text with the NUL of C.
    const end = size > 0 && from.bytes[at + size - 1] === 0 ? at + size - 1 : at + size;
    return from.bytes.toString('utf8', at, end);
  },
};
