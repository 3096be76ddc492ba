/** Flags of a benchmark: `--help` prints the usage and ends; a flag it does not know is an error, not a long run. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

type Flags = NonNullable<ParseArgsConfig['options']>;

/** Returns the values given. Ends the process: 0 after --help, 2 after a wrong flag. */
export function benchOptions<T extends Flags>(usage: string, options: T) {
  try {
    const { values } = parseArgs({
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      strict: true,
    });
    if ((values as { readonly help?: boolean }).help === true) {
      process.stdout.write(`${usage}\n`);
      process.exit(0);
    }
    return values as ReturnType<typeof parseArgs<{ options: T; strict: true }>>['values'];
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
    process.exit(2);
  }
}
