/** Rate limits. A policer's name tells the interface and the direction it is for. */
import type { Fields, VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { policer } from './objects.js';
import type { PolicerObject, PolicerSpec } from './specs.js';

const NAMES: Readonly<Record<PolicerSpec['direction'], string>> = { input: 'pt<', output: 'pt>' };
const NAME = /^pt([<>])(if\/.+)$/;
const MOST_KILOBITS = 0xffff_ffff;

export const policers: Descriptor<'policer', PolicerSpec> = {
  kind: 'policer',
  messages: ['policer_add_del', 'policer_dump', 'policer_input', 'policer_output'],

  async read({ api }) {
    const details = await api.dump('policer_dump');
    return details.flatMap((fields): PolicerObject[] => {
      const match = NAME.exec(String(fields['name']));
      if (match === null) return [];
      const direction = match[1] === '<' ? 'input' : 'output';
      return [
        policer({
          ...{ interface: match[2] ?? '', direction },
          ...{ bitsPerSecond: Number(fields['cir']) * 1000, burstBits: Number(fields['cb']) * 8 },
        }),
      ];
    });
  },

  async create({ api, handles }, { spec }) {
    const name = nameOf(spec);
    const sw_if_index = handles.get(spec.interface);
    await api.request('policer_add_del', { is_add: true, ...bucket(spec), name });
    await apply(api, { name, sw_if_index, apply: true }, spec);
  },

  async remove({ api, handles }, { spec }) {
    const name = nameOf(spec);
    const sw_if_index = handles.find(spec.interface);
    if (sw_if_index !== undefined) await apply(api, { name, sw_if_index, apply: false }, spec);
    await api.request('policer_add_del', { is_add: false, name });
  },
};

const nameOf = ({ interface: key, direction }: PolicerSpec): string => `${NAMES[direction]}${key}`;

async function apply(api: VppApi, fields: Fields, { direction }: PolicerSpec): Promise<void> {
  await api.request(`policer_${direction}`, fields);
}

/** One rate, two colours (RFC 2697 without the excess burst): what is over is dropped. */
function bucket({ bitsPerSecond, burstBits }: PolicerSpec): Fields {
  const drop: Fields = { type: 'SSE2_QOS_ACTION_API_DROP' };
  return {
    cir: Math.max(1, Math.min(MOST_KILOBITS, Math.round(bitsPerSecond / 1000))),
    cb: BigInt(Math.max(1, Math.floor(burstBits / 8))),
    rate_type: 'SSE2_QOS_RATE_API_KBPS',
    round_type: 'SSE2_QOS_ROUND_API_TO_CLOSEST',
    type: 'SSE2_QOS_POLICER_TYPE_API_1R2C',
    conform_action: { type: 'SSE2_QOS_ACTION_API_TRANSMIT' },
    exceed_action: drop,
    violate_action: drop,
  };
}
