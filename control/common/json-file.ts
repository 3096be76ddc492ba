/** Reading a configuration file. */
import { readFileSync } from 'node:fs';
import { errorText, InvalidInputError } from './errors.js';

/** The JSON value of a file. Throws InvalidInputError that names the file. */
export function readJsonFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new InvalidInputError(`cannot be read: ${errorText(cause)}`, { object: path, cause });
  }
}
