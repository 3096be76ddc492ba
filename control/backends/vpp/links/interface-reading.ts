/** What VPP's interfaces are made of, as its dumps tell. */
import type { Fields, VppApi } from '../api/api.js';
import { indexOf, xdpName } from './interface-sources.js';
import type { InterfaceSource } from './specs.js';

const XDP_PREFIX = xdpName('');

/** Of all interfaces that were made by a message, by sw_if_index. */
export async function readSources(api: VppApi): Promise<ReadonlyMap<number, InterfaceSource>> {
  const [packets, taps, memifs, sockets, tunnels] = await Promise.all([
    dumpIf(api, 'af_packet_dump'),
    dumpIf(api, 'sw_interface_tap_v2_dump'),
    dumpIf(api, 'memif_dump'),
    dumpIf(api, 'memif_socket_filename_dump'),
    dumpIf(api, 'vxlan_tunnel_v2_dump'),
  ]);
  const files = new Map(
    sockets.map((socket) => [Number(socket['socket_id']), String(socket['socket_filename'])]),
  );
  const entries: [number, InterfaceSource][] = [
    ...packets.map((fields): [number, InterfaceSource] => [
      indexOf(fields),
      { type: 'af_packet', link: String(fields['host_if_name']) },
    ]),
    ...taps.map((fields): [number, InterfaceSource] => [indexOf(fields), tapOf(fields)]),
    ...memifs.map((fields): [number, InterfaceSource] => [
      indexOf(fields),
      {
        ...{ type: 'memif', id: Number(fields['id']) },
        socket: files.get(Number(fields['socket_id'])) ?? '',
      },
    ]),
    ...tunnels.map((fields): [number, InterfaceSource] => [indexOf(fields), tunnelOf(fields)]),
  ];
  return new Map(entries);
}

/** Of one that `readSources` does not know, by its name and sort. */
export function sourceByName(details: Fields): InterfaceSource {
  const name = String(details['interface_name']);
  if (details['interface_dev_type'] === 'Loopback') return { type: 'loopback' };
  if (name.startsWith(XDP_PREFIX)) return { type: 'af_xdp', link: name.slice(XDP_PREFIX.length) };
  return { type: 'existing', name };
}

async function dumpIf(api: VppApi, message: string): Promise<readonly Fields[]> {
  return api.has(message) ? api.dump(message, EVERYTHING[message] ?? {}) : [];
}

const EVERYTHING: Readonly<Record<string, Fields>> = {
  sw_interface_tap_v2_dump: { sw_if_index: 0xffff_ffff },
  vxlan_tunnel_v2_dump: { sw_if_index: 0xffff_ffff },
};

function tapOf(fields: Fields): InterfaceSource {
  const netns = String(fields['host_namespace']);
  return {
    ...{ type: 'tap', netns: netns === '' ? null : netns, ifname: String(fields['host_if_name']) },
    mac: String(fields['host_mac_addr']),
  };
}

function tunnelOf(fields: Fields): InterfaceSource {
  return {
    type: 'vxlan',
    local: String(fields['src_address']),
    remote: String(fields['dst_address']),
    vni: Number(fields['vni']),
  };
}
