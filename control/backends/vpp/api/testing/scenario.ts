/** What is asked of VPP when its bytes are recorded: something of every type there is, refusals and events too. */
import type { Fields } from '../api.js';

export interface ScenarioStep {
  readonly message: string;
  readonly fields: Fields;
}

const ALL = 0xffffffff;

function step(message: string, fields: Fields = {}): ScenarioStep {
  return { message, fields };
}

const path = (nh: Fields, proto: string, weight = 1): Fields => ({ sw_if_index: 1, weight, proto, nh });

const rule = (source: string, target: string, proto: string, first: number, last: number): Fields => ({
  is_permit: 'ACL_ACTION_API_PERMIT_REFLECT',
  src_prefix: source,
  dst_prefix: target,
  proto,
  srcport_or_icmptype_last: 65535,
  dstport_or_icmpcode_first: first,
  dstport_or_icmpcode_last: last,
});

const endpoint = (addr: string, port: number): Fields => ({
  addr,
  port,
  sw_if_index: ALL,
  if_af: 'ADDRESS_IP4',
});

/** On a VPP that was just started. `sw_if_index` 1 is the loopback of the first step. */
export const SCENARIO: readonly ScenarioStep[] = [
  step('want_interface_events', { enable_disable: 1, pid: 4711 }),
  step('create_loopback_instance', {
    mac_address: '02:fe:00:00:00:01',
    is_specified: true,
    user_instance: 7,
  }),
  step('sw_interface_set_flags', { sw_if_index: 1, flags: ['IF_STATUS_API_FLAG_ADMIN_UP'] }),
  step('sw_interface_tag_add_del', { is_add: true, sw_if_index: 1, tag: 'pteropus:if/gateway ü' }),
  step('sw_interface_set_flags', { sw_if_index: 4242, flags: [] }),
  step('sw_interface_set_mtu', { sw_if_index: 1, mtu: [1400, 0, 0, 0] }),
  step('sw_interface_add_del_address', { sw_if_index: 1, is_add: true, prefix: '10.1.1.1/24' }),
  step('sw_interface_add_del_address', { sw_if_index: 1, is_add: true, prefix: 'fd00:1::1/64' }),
  step('ip_address_dump', { sw_if_index: 1, is_ipv6: true }),
  step('sw_interface_dump', { sw_if_index: ALL }),
  step('ip_table_add_del', { is_add: true, table: { table_id: 1, is_ip6: true, name: 'pods' } }),
  step('ip_table_dump'),
  step('ip_route_add_del', {
    is_add: true,
    is_multipath: true,
    route: {
      prefix: '10.2.0.0/16',
      paths: [
        path({ address: { ip4: '10.1.1.2' } }, 'FIB_API_PATH_NH_PROTO_IP4'),
        path({ address: { ip4: '10.1.1.3' } }, 'FIB_API_PATH_NH_PROTO_IP4', 3),
      ],
    },
  }),
  step('ip_route_add_del', {
    is_add: true,
    route: {
      prefix: 'fd00:2::/64',
      paths: [path({ address: { ip6: 'fd00:1::2' } }, 'FIB_API_PATH_NH_PROTO_IP6')],
    },
  }),
  step('ip_route_dump', { table: { table_id: 0, is_ip6: false } }),
  step('ip_route_v2_dump', { table: { table_id: 0, is_ip6: true } }),
  step('ip_neighbor_add_del', {
    is_add: true,
    neighbor: {
      sw_if_index: 1,
      flags: ['IP_API_NEIGHBOR_FLAG_STATIC'],
      mac_address: '02:fe:00:00:00:02',
      ip_address: '10.1.1.2',
    },
  }),
  step('ip_neighbor_dump', { sw_if_index: ALL, af: 'ADDRESS_IP4' }),
  step('acl_add_replace', {
    acl_index: ALL,
    tag: 'pteropus:test',
    r: [
      rule('10.1.0.0/16', '0.0.0.0/0', 'IP_API_PROTO_TCP', 80, 443),
      rule('::/0', 'fd00::/8', 'IP_API_PROTO_UDP', 53, 53),
    ],
  }),
  step('acl_interface_set_acl_list', { sw_if_index: 1, n_input: 1, acls: [0] }),
  step('acl_interface_list_dump', { sw_if_index: 1 }),
  step('acl_dump', { acl_index: ALL }),
  step('acl_del', { acl_index: 99 }),
  step('nat44_ed_plugin_enable_disable', { enable: true, sessions: 1024 }),
  step('nat44_add_del_lb_static_mapping', {
    is_add: true,
    flags: ['NAT_IS_OUT2IN_ONLY', 'NAT_IS_SELF_TWICE_NAT'],
    external_addr: '10.96.0.1',
    external_port: 80,
    protocol: 6,
    affinity: 10800,
    tag: 'default/web',
    locals: [
      { addr: '10.1.1.2', port: 8080, probability: 1 },
      { addr: '10.1.1.3', port: 8080, probability: 2 },
    ],
  }),
  step('nat44_lb_static_mapping_dump'),
  step('cnat_translation_update', {
    translation: {
      vip: endpoint('10.96.0.2', 53),
      ip_proto: 'IP_API_PROTO_UDP',
      lb_type: 'CNAT_LB_TYPE_MAGLEV',
      paths: [{ dst_ep: endpoint('10.1.1.2', 5353), src_ep: endpoint('0.0.0.0', 0) }],
    },
  }),
  step('cnat_translation_dump'),
  step('bridge_domain_add_del_v2', { bd_id: 10, is_add: true, bd_tag: 'pteropus' }),
  step('bridge_domain_dump', { bd_id: ALL }),
  step('vxlan_add_del_tunnel_v3', {
    is_add: true,
    instance: ALL,
    src_address: '10.1.1.1',
    dst_address: '10.1.1.9',
    vni: 10,
    decap_next_index: ALL,
  }),
  step('vxlan_tunnel_v2_dump', { sw_if_index: ALL }),
  step('policer_add', {
    name: 'limit',
    infos: { cir: 1_000_000, eir: 0, cb: 12_345_678_901n, eb: 0n, rate_type: 'SSE2_QOS_RATE_API_KBPS' },
  }),
  step('policer_add_del', { is_add: true, name: 'older', cir: 1000, cb: 9_000_000_000n }),
  step('policer_dump', { match_name_valid: true, match_name: 'older' }),
  step('policer_dump_v2', { policer_index: ALL }),
  step('set_punt', {
    is_add: true,
    punt: {
      type: 'PUNT_API_TYPE_L4',
      punt: { l4: { af: 'ADDRESS_IP4', protocol: 'IP_API_PROTO_UDP', port: 53 } },
    },
  }),
  step('show_vpe_system_time'),
  step('sw_interface_tx_placement_get', { sw_if_index: ALL }),
  step('cli_inband', { cmd: 'show interface loop7' }),
  step('cli_inband', { cmd: 'no such command' }),
  step('sw_interface_set_flags', { sw_if_index: 1, flags: [] }),
];
