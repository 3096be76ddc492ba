/** How interfaces of each sort are made, taken away, and known again. The messages differ between versions of VPP. */
import type { Fields, VppApi } from '../api/api.js';
import { MissingMessageError, VppRetvalError } from '../api/errors.js';
import type { InterfaceSource, InterfaceSpec } from './specs.js';
import { VXLAN_PORT } from './tunnel-ends.js';

type Source<T extends InterfaceSource['type']> = Extract<InterfaceSource, { type: T }>;

const NONE = 0xffff_ffff;

/**
 * Bytes of a frame of a packet socket's ring: a jumbo packet in a tunnel and the kernel's header fit. As many as two of VPP's vectors, or
 * it would drop the rest of a burst: 5 MiB for each direction, where VPP's own choice would be 69.
 */
const FRAME = 10_240;
const FRAMES = 512;

/** The first message of the list that this VPP has. Throws MissingMessageError. */
function newest(api: VppApi, ...messages: readonly [string, ...string[]]): string {
  const found = messages.find((message) => api.has(message));
  if (found === undefined) {
    throw new MissingMessageError('this VPP lacks a message', { object: messages[0], value: messages });
  }
  return found;
}

export const indexOf = (reply: Fields): number => Number(reply['sw_if_index']);

/** Makes the interface; its sw_if_index. Throws what VppApi.request throws. */
export async function createInterface(api: VppApi, { source, mac }: InterfaceSpec): Promise<number> {
  switch (source.type) {
    case 'af_packet':
      return createAfPacket(api, source, mac);
    case 'af_xdp':
      return createAfXdp(api, source);
    case 'tap':
      return createTap(api, source, mac);
    case 'memif':
      return createMemif(api, source, mac);
    case 'existing':
      return findExisting(api, source.name);
    case 'loopback':
      return indexOf(await api.request('create_loopback_instance', mac === null ? {} : { mac_address: mac }));
    case 'vxlan':
      return again(
        'TUNNEL_EXIST',
        async () => indexOf(await tunnel(api, source, true)),
        () => tunnel(api, source, false),
      );
  }
}

export async function deleteInterface(api: VppApi, source: InterfaceSource, index: number): Promise<void> {
  const sw_if_index = index;
  switch (source.type) {
    case 'af_packet':
      await api.request('af_packet_delete', { host_if_name: source.link });
      return;
    case 'af_xdp':
      await api.request('af_xdp_delete', { sw_if_index });
      return;
    case 'tap':
      await api.request('tap_delete_v2', { sw_if_index });
      return;
    case 'memif':
      await api.request('memif_delete', { sw_if_index });
      return;
    case 'existing':
      return;
    case 'loopback':
      await api.request('delete_loopback', { sw_if_index });
      return;
    case 'vxlan':
      await tunnel(api, source, false);
  }
}

/** One that is there though nobody should have it (we died between making and marking it) goes first. */
async function again<T>(symbol: string, make: () => Promise<T>, remove: () => Promise<unknown>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof VppRetvalError) || error.symbol !== symbol) throw error;
    await remove();
    return make();
  }
}

/**
 * Packets as they are on a wire. Large segments could pass between pods of a node in one piece, but VPP (26.06) marks them so
 * that it cuts IPv4 as if it were IPv6 when one has to leave by a tunnel. Version 2 of the kernel's rings, as 3 holds packets back for a millisecond to hand out
 * several at once (five times the round trip, bench/vpp-pods.ts).
 */
function createAfPacket(api: VppApi, { link }: Source<'af_packet'>, mac: string | null): Promise<number> {
  const fields: Fields = {
    mode: 'AF_PACKET_API_MODE_ETHERNET',
    ...(mac === null ? { use_random_hw_addr: true } : { hw_addr: mac }),
    host_if_name: link,
    ...{ rx_frame_size: FRAME, rx_frames_per_block: FRAMES },
    ...{ tx_frame_size: FRAME, tx_frames_per_block: FRAMES },
    flags: ['AF_PACKET_API_FLAG_QDISC_BYPASS', 'AF_PACKET_API_FLAG_VERSION_2'],
    num_rx_queues: 1,
    num_tx_queues: 1,
  };
  return again(
    'IF_ALREADY_EXISTS',
    async () => indexOf(await api.request('af_packet_create_v3', fields)),
    () => api.request('af_packet_delete', { host_if_name: link }),
  );
}

async function createAfXdp(api: VppApi, { link }: Source<'af_xdp'>): Promise<number> {
  const message = newest(api, 'af_xdp_create_v3', 'af_xdp_create_v2', 'af_xdp_create');
  return indexOf(
    await api.request(message, {
      ...{ host_if: link, name: xdpName(link), rxq_num: 1, mode: 'AF_XDP_API_MODE_AUTO' },
    }),
  );
}

/** Name of an AF_XDP interface in VPP, by which it is known again. */
export const xdpName = (link: string): string => `xdp-${link}`;

/** The TAP was made by whoever owns the namespace, and outlives VPP. */
async function createTap(api: VppApi, source: Source<'tap'>, mac: string | null): Promise<number> {
  const { netns, ifname, mac: far } = source;
  const message = newest(api, 'tap_create_v3', 'tap_create_v2');
  return indexOf(
    await api.request(message, {
      id: NONE,
      ...(mac === null ? { use_random_mac: true } : { use_random_mac: false, mac_address: mac }),
      ...{ host_if_name_set: true, host_if_name: ifname },
      ...(netns === null ? {} : { host_namespace_set: true, host_namespace: netns }),
      ...(far === null ? {} : { host_mac_addr_set: true, host_mac_addr: far }),
      tap_flags: ['TAP_API_FLAG_GSO', 'TAP_API_FLAG_ATTACH', 'TAP_API_FLAG_PERSIST'],
    }),
  );
}

async function createMemif(
  api: VppApi,
  { socket, id }: Source<'memif'>,
  mac: string | null,
): Promise<number> {
  const create = newest(api, 'memif_create_v2', 'memif_create');
  const socket_id = await memifSocket(api, socket);
  return indexOf(
    await api.request(create, {
      role: 'MEMIF_ROLE_API_MASTER',
      mode: 'MEMIF_MODE_API_ETHERNET',
      ...{ rx_queues: 1, tx_queues: 1, ring_size: 1024, buffer_size: 2048 },
      ...{ id, socket_id },
      ...(mac === null ? {} : { hw_addr: mac }),
    }),
  );
}

/** VPP's number of a memif socket; the same for all who name the same file. */
async function memifSocket(api: VppApi, socket_filename: string): Promise<number> {
  const sockets = await api.dump('memif_socket_filename_dump');
  const found = sockets.find((socket) => socket['socket_filename'] === socket_filename);
  if (found !== undefined) return Number(found['socket_id']);
  const taken = new Set(sockets.map((socket) => Number(socket['socket_id'])));
  let socket_id = 1;
  while (taken.has(socket_id)) socket_id++;
  const message = newest(api, 'memif_socket_filename_add_del_v2', 'memif_socket_filename_add_del');
  await api.request(message, { is_add: true, socket_id, socket_filename });
  return socket_id;
}

/** Throws VppRetvalError (NO_SUCH_ENTRY) when VPP has none of the name. */
async function findExisting(api: VppApi, name: string): Promise<number> {
  const details = await api.dump('sw_interface_dump', { name_filter_valid: true, name_filter: name });
  const found = details.find((each) => each['interface_name'] === name);
  if (found === undefined) {
    throw new VppRetvalError('sw_interface_dump', -6, `VPP has no interface ${name}`);
  }
  return indexOf(found);
}

function tunnel(api: VppApi, source: Source<'vxlan'>, is_add: boolean): Promise<Fields> {
  const message = newest(api, 'vxlan_add_del_tunnel_v3', 'vxlan_add_del_tunnel_v2');
  return api.request(message, {
    ...{ is_add, src_address: source.local, dst_address: source.remote, vni: source.vni },
    ...{ src_port: VXLAN_PORT, dst_port: VXLAN_PORT, encap_vrf_id: 0 },
    ...{ mcast_sw_if_index: NONE, decap_next_index: NONE },
  });
}
