/** FIB tables. They are known again by their name. */
import type { Descriptor } from '../objects/types.js';
import { table } from './objects.js';
import type { TableSpec } from './specs.js';

const NAME = 'pteropus';

interface TableFields {
  readonly table_id: number;
  readonly is_ip6: boolean;
  readonly name: string;
}

export const tables: Descriptor<'table', TableSpec> = {
  kind: 'table',
  messages: ['ip_table_add_del', 'ip_table_dump'],

  async read({ api }) {
    const details = await api.dump('ip_table_dump');
    return details
      .map((fields) => fields['table'] as unknown as TableFields)
      .filter(({ name }) => name.startsWith(NAME))
      .map(({ table_id: id, is_ip6 }) => table({ family: is_ip6 ? 6 : 4, id }));
  },

  async create({ api }, { spec }) {
    await api.request('ip_table_add_del', { is_add: true, table: fieldsOf(spec) });
  },

  async remove({ api }, { spec }) {
    await api.request('ip_table_add_del', { is_add: false, table: fieldsOf(spec) });
  },
};

function fieldsOf({ family, id }: TableSpec): Record<string, string | number | boolean> {
  return { table_id: id, is_ip6: family === 6, name: `${NAME}-ip${family}-${id}` };
}
