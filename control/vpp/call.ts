/** One message, by hand. */
import type { Fields, VppApi } from '../backends/vpp/api/api.js';
import type { VppClient } from '../backends/vpp/api/client.js';
import { UsageError } from '../common/command-line.js';
import { errorText } from '../common/errors.js';

/** Reads the fields of a message. Throws UsageError. */
export function parseFields(text: string): Fields {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`cannot be read: ${errorText(error)}`, { field: 'JSON', value: text });
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw new UsageError('must be an object', { field: 'JSON', value: fields });
  }
  return fields as Fields;
}

/** The reply, or the details of a dump. Throws as VppApi.request. */
export async function call(
  vpp: VppApi & Pick<VppClient, 'codecs'>,
  message: string,
  fields: Fields,
): Promise<Fields | readonly Fields[]> {
  const dump = vpp.codecs.schema.services.get(message)?.details !== undefined;
  return dump ? await vpp.dump(message, fields) : await vpp.request(message, fields);
}
