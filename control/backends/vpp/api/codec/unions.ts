/** Unions. */
import type { Value } from '../api.js';
import { FieldProblem, within } from './bytes.js';
import type { FixedCodec, SoFar } from './codec.js';
import { asMembers, NOTHING } from './fields.js';

export interface Arm {
  readonly name: string;
  readonly codec: FixedCodec;
  /** Values of the discriminator that choose it. */
  readonly when: readonly string[];
}

/** Finds the discriminator's value among the fields read so far. */
export type Discriminator = (self: SoFar, outer: SoFar) => Value | undefined;

/**
 * An object with one field, the arm; as many bytes as the largest arm has. Where nothing says which arm was read, it is `raw`, the
 * bytes.
 */
export function unionCodec(name: string, arms: readonly Arm[], discriminator: Discriminator): FixedCodec {
  const size = Math.max(0, ...arms.map((arm) => arm.codec.size));
  const codecs = new Map(arms.map((arm) => [arm.name, arm.codec]));
  return {
    size,
    initial: new Uint8Array(size),
    put(into, at, value) {
      const members = asMembers(value);
      let chosen: string | undefined;
      for (const arm in members) {
        if (members[arm] === undefined) continue;
        if (chosen !== undefined) throw new FieldProblem('must have one arm', value);
        chosen = arm;
      }
      const given = chosen === undefined ? undefined : members[chosen];
      if (chosen === undefined || given === undefined) return;
      if (chosen === 'raw' && given instanceof Uint8Array && given.length <= size) {
        into.bytes.set(given, at);
        return;
      }
      const codec = codecs.get(chosen);
      if (codec === undefined) throw new FieldProblem(`is no arm of ${name}`, chosen);
      try {
        into.bytes.set(codec.initial, at);
        codec.put(into, at, given);
      } catch (error) {
        throw within(error, chosen);
      }
    },
    read(from, self, outer) {
      const symbol = discriminator(self, outer);
      const arm =
        typeof symbol === 'string' ? arms.find((candidate) => candidate.when.includes(symbol)) : undefined;
      if (arm === undefined) return { raw: from.copy(size) };
      const start = from.take(size);
      from.at = start;
      const inner = { [arm.name]: arm.codec.read(from, NOTHING, self) };
      from.at = start + size;
      return inner;
    },
  };
}
