/** Bytes that went over the socket of a real VPP, as data: one message in a line, `> name bytes fields` to VPP, `<` from it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fields } from '../api.js';
import { type Json, toJson } from '../json.js';
import { parseSchema } from '../notation.js';
import type { ApiSchema } from '../schema.js';

export interface RecordedMessage {
  readonly toVpp: boolean;
  readonly message: string;
  readonly bytes: Buffer;
  /** The fields as JSON (see json.ts). */
  readonly fields: { readonly [field: string]: Json };
}

/** Where recordings and the descriptions that go with them are kept: `vpp-26.06.recording`, `vpp-26.06.schema`. */
const FIXTURES = join(import.meta.dirname, '../../../../../../../control/backends/vpp/api/fixtures');

export const RECORDED_VERSIONS: readonly string[] = ['23.02', '26.06'];

export function formatRecorded(toVpp: boolean, message: string, bytes: Buffer, fields: Fields): string {
  return `${toVpp ? '>' : '<'} ${message} ${bytes.toString('hex')} ${JSON.stringify(toJson(fields))}\n`;
}

export function parseRecording(text: string): readonly RecordedMessage[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [direction, message = '', hex = ''] = line.split(' ', 3);
      const fields = line.slice(line.indexOf('{')) || '{}';
      return {
        toVpp: direction === '>',
        message,
        bytes: Buffer.from(hex, 'hex'),
        fields: JSON.parse(fields) as RecordedMessage['fields'],
      };
    });
}

export function fixturePath(name: string): string {
  return join(FIXTURES, name);
}

export function recordingOf(version: string): readonly RecordedMessage[] {
  return parseRecording(readFileSync(fixturePath(`vpp-${version}.recording`), 'utf8'));
}

/** The messages the backend uses and those recorded, as this version describes them. */
export function schemaOf(version: string): ApiSchema {
  return parseSchema(readFileSync(fixturePath(`vpp-${version}.schema`), 'utf8'));
}
