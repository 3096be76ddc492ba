/** A node has the pod table and that of the tunnels in both families, whatever else it has. */
import { TABLE_IDS, TUNNEL_TABLE } from '../objects/names.js';
import type { Renderer } from '../objects/types.js';
import { table } from './objects.js';
import { FAMILIES } from './specs.js';

export const tablesRenderer: Renderer = {
  name: 'tables',
  kinds: ['node'],
  render: () =>
    [TUNNEL_TABLE, TABLE_IDS.pod].flatMap((id) => FAMILIES.map((family) => table({ family, id }))),
};
