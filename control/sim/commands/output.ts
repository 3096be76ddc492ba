/** How matrices are printed for the terminal at hand. */
import { readFile, writeFile } from 'node:fs/promises';
import { InvalidInputError } from '../../common/errors.js';
import type { InputText } from '../manifest-set.js';
import type { Presented, PresentOptions } from '../matrix/present.js';

export interface MatrixFlags {
  readonly json: boolean;
  readonly wide: boolean;
  readonly expect: string | null;
  readonly junit: string | null;
}

const DEFAULT_WIDTH = 120;

/** Options for this terminal. Throws InvalidInputError when the expectation file cannot be read. */
export async function presentOptions(flags: MatrixFlags): Promise<PresentOptions> {
  return {
    json: flags.json,
    wide: flags.wide,
    color: process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined,
    width: process.stdout.columns ?? DEFAULT_WIDTH,
    expect: flags.expect === null ? null : await readExpect(flags.expect),
    junit: flags.junit !== null,
  };
}

async function readExpect(file: string): Promise<InputText> {
  try {
    return { file, text: await readFile(file, 'utf8') };
  } catch (cause) {
    throw new InvalidInputError('cannot be read', { field: '--expect', value: file, cause });
  }
}

/** Prints and writes what was presented; returns the exit code. Throws InvalidInputError when the JUnit file cannot be written. */
export async function deliver(presented: Presented, junitFile: string | null): Promise<number> {
  process.stdout.write(presented.output);
  if (junitFile !== null && presented.junit !== null) {
    try {
      await writeFile(junitFile, presented.junit);
    } catch (cause) {
      throw new InvalidInputError('cannot be written', { field: '--junit', value: junitFile, cause });
    }
  }
  return presented.good ? 0 : 1;
}

/** Progress goes to standard error, so that --json stays clean. */
export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}
