/** Reading a verb's command line: every verb complains in the same words and with the same exit code. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { errorText, InvalidInputError } from './errors.js';

/** The command line itself is wrong: `--help` says how it is written. */
export class UsageError extends InvalidInputError {}

export type Options = NonNullable<ParseArgsConfig['options']>;

/** `parseArgs` whose complaints are UsageErrors; `--help` and `-h` are always understood. */
export function parseOptions<T extends Options>(argv: readonly string[], options: T, positionals = false) {
  try {
    return parseArgs({
      args: [...argv],
      options: { ...options, help: { type: 'boolean', short: 'h' } } as T & { help: { type: 'boolean' } },
      allowPositionals: positionals,
      strict: true,
    });
  } catch (cause) {
    // Node's first sentence names the argument; the rest is advice about positional arguments that is not always true here.
    const [sentence = ''] = errorText(cause).split(/\.\s|\n/);
    throw new UsageError(sentence.charAt(0).toLowerCase() + sentence.slice(1), { cause });
  }
}

/** The value of an option that has no default. Throws UsageError. */
export function required(option: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new UsageError('is needed', { field: option });
  return value;
}

/** The value of an option as a whole number, bounds included. Throws UsageError. */
export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`must be ${least}-${most}`, { field: option, value: text });
}

/** One of the words an option or a command may be. Throws UsageError. */
export function oneOf<T extends string>(what: string, text: string, words: readonly T[]): T {
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  throw new UsageError(`must be ${listed(words)}`, { field: what, value: text });
}

/** How many arguments a command takes beside its options. */
export type Arity = readonly [least: number, most: number];

/** The command of a verb that has several, with its arguments. Throws UsageError. */
export function commandOf<T extends string>(
  positionals: readonly string[],
  commands: Readonly<Record<T, Arity>>,
): readonly [T, ...string[]] {
  const [word, ...rest] = positionals;
  const known = Object.keys(commands) as T[];
  if (word === undefined) throw new UsageError(`a command is needed: ${listed(known)}`);
  const command = known.find((name) => name === word);
  if (command === undefined)
    throw new UsageError(`unknown command; there are ${known.join(', ')}`, { value: word });
  const [least, most] = commands[command];
  if (rest.length < least) throw new UsageError('needs an argument', { object: command });
  if (rest.length > most) throw new UsageError('unexpected argument', { object: command, value: rest[most] });
  return [command, ...rest];
}

/** `a, b or c`. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
