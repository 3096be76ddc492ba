/** What an interface item's VPP interface is made of. Pure. */
import type { InterfaceItem } from '../../../ruleset/types.js';
import { RenderError } from '../objects/errors.js';
import type { InterfaceDriver, VppOptions } from '../objects/types.js';
import type { InterfaceSource } from './specs.js';

/** VPP takes this many bytes of the path of a namespace, and so many of a Linux link's name. */
const LONGEST_NETNS = 63;
const LONGEST_LINK = 15;

/** Throws RenderError. */
export function sourceOf(item: InterfaceItem, options: VppOptions): InterfaceSource {
  if (item.tap !== undefined) {
    const { netns, ifname } = item.tap;
    if (Buffer.byteLength(netns) > LONGEST_NETNS) {
      throw new RenderError(`VPP takes a path of at most ${LONGEST_NETNS} bytes`, item.key, {
        ...{ field: 'tap.netns', value: netns },
      });
    }
    return { type: 'tap', netns, ifname: linkName(item, ifname, 'tap.ifname'), mac: item.peerMac };
  }
  return ofDriver(item, options[item.role]);
}

function ofDriver(item: InterfaceItem, driver: InterfaceDriver): InterfaceSource {
  switch (driver.type) {
    case 'af_packet':
    case 'af_xdp':
      return { type: driver.type, link: linkName(item, item.link, 'link') };
    case 'tap':
      return { type: 'tap', netns: null, ifname: linkName(item, item.link, 'link'), mac: item.peerMac };
    case 'memif':
      return { type: 'memif', socket: driver.socket, id: memifId(item.link) };
    case 'existing':
      return { type: 'existing', name: driver.name };
  }
}

function linkName(item: InterfaceItem, name: string, field: string): string {
  if (name !== '' && Buffer.byteLength(name) <= LONGEST_LINK) return name;
  throw new RenderError(`a Linux link's name has 1 to ${LONGEST_LINK} bytes`, item.key, {
    field,
    value: name,
  });
}

/** The number that both ends of a memif name on their socket: FNV-1a (32 bits) of the link's name. */
export function memifId(link: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(link)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
