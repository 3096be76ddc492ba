/** A node has the pod table in both families, whatever else it has. */
import { TABLE_IDS } from '../objects/names.js';
import type { Renderer } from '../objects/types.js';
import { table } from './objects.js';
import { FAMILIES } from './specs.js';

export const tablesRenderer: Renderer = {
  name: 'tables',
  kinds: ['node'],
  render: () => FAMILIES.map((family) => table({ family, id: TABLE_IDS.pod })),
};
