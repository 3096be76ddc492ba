/** Where messages are written to and read from. Integers are big endian; doubles are in the order of this machine, as VPP writes them. */
import { DecodeError, EncodeError } from '../errors.js';

/** Grows as needed. What is written at `at` must have been reserved. */
export class Writer {
  bytes: Buffer;
  length = 0;

  constructor(capacity = 4096) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  /** Makes room for `size` bytes at the end, whose content is undefined; returns where they start. */
  reserve(size: number): number {
    const at = this.length;
    const end = at + size;
    if (end > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, 2 * this.bytes.length));
      this.bytes.copy(grown, 0, 0, at);
      this.bytes = grown;
    }
    this.length = end;
    return at;
  }

  /** Puts a copy of `source` at the end; returns where it starts. */
  append(source: Uint8Array): number {
    const at = this.reserve(source.length);
    this.bytes.set(source, at);
    return at;
  }
}

/** Reads one message. Every read is checked against the end; throws DecodeError. */
export class Reader {
  at: number;

  constructor(
    readonly bytes: Buffer,
    start = 0,
    readonly end = bytes.length,
  ) {
    this.at = start;
  }

  get left(): number {
    return this.end - this.at;
  }

  /** Moves on by `size` bytes; returns where they start. */
  take(size: number): number {
    const at = this.at;
    if (size > this.end - at) throw new DecodeError(`ends ${size - (this.end - at)} bytes early`);
    this.at = at + size;
    return at;
  }

  /** A copy: the buffer a message came in is not kept alive by what was read from it. */
  copy(size: number): Uint8Array {
    const at = this.take(size);
    return new Uint8Array(this.bytes.subarray(at, at + size));
  }
}

/** Thrown inside the codec; the path is completed on the way out, and a public error made of it (see message.ts). */
export class FieldProblem extends Error {
  path = '';

  constructor(
    readonly problem: string,
    readonly value: unknown,
  ) {
    super(problem);
  }

  /** Puts a field's name or an index before the path. */
  within(step: string | number): this {
    const name = typeof step === 'number' ? `[${step}]` : step;
    this.path = this.path === '' || this.path.startsWith('[') ? name + this.path : `${name}.${this.path}`;
    return this;
  }

  public(message: string): EncodeError {
    return new EncodeError(this.problem, { object: message, field: this.path, value: this.value });
  }
}

/** For use in `catch`: whatever was thrown, with the step in its path if it has one. */
export function within(error: unknown, step: string | number): unknown {
  return error instanceof FieldProblem ? error.within(step) : error;
}
