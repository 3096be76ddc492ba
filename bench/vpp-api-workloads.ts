/** What is programmed into VPP, as fields of messages: `add` and the `remove` that undoes it. */
import type { Fields } from '../control/backends/vpp/api/api.js';

export interface Batch {
  readonly message: string;
  readonly list: readonly Fields[];
}

/** Batches that follow each other in every round; the later ones undo the first, or there is but one that changes nothing. */
export interface Workload {
  readonly name: string;
  readonly batches: readonly (Batch & { readonly label: string; readonly measured: boolean })[];
}

function addAndRemove(name: string, add: Batch, remove: Batch): Workload {
  return {
    name,
    batches: [
      { ...add, label: 'add', measured: true },
      // So few messages that their time is that of one round trip are not measured.
      { ...remove, label: 'remove', measured: remove.list.length > 100 },
    ],
  };
}

const ALL = 0xffffffff;

function times<T>(count: number, make: (i: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

const address = (first: number, i: number) => `10.${first + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

/** @param loop sw_if_index of an interface that is up and has 10.1.1.1/24 */
export function workloads(loop: number, scale: number): readonly Workload[] {
  const count = (full: number) => Math.max(1, Math.round(full * scale));
  return [
    routes(count(5000), loop),
    natMappings(count(2000)),
    // The fewer first: VPP gives numbers that became free again, the last freed first.
    accessLists('ACLs of 1,000 rules, in no use', count(200), 1000),
    accessLists('ACLs of one rule', count(5000), 1),
    translations(count(1000)),
  ];
}

function routes(count: number, loop: number): Workload {
  const list = (is_add: boolean) =>
    times(count, (i) => ({
      is_add,
      route: {
        prefix: `${address(100, i)}/32`,
        paths: [
          {
            sw_if_index: loop,
            weight: 1,
            proto: 'FIB_API_PATH_NH_PROTO_IP4',
            nh: { address: { ip4: '10.1.1.2' } },
          },
        ],
      },
    }));
  const message = 'ip_route_add_del';
  return addAndRemove('routes', { message, list: list(true) }, { message, list: list(false) });
}

function natMappings(count: number): Workload {
  const list = (is_add: boolean) =>
    times(count, (i) => ({
      is_add,
      flags: ['NAT_IS_OUT2IN_ONLY'],
      external_addr: address(96, i),
      external_port: 80,
      protocol: 6,
      tag: `default/service-${i}`,
      locals: times(4, (k) => ({ addr: `10.1.${k}.${1 + (i % 250)}`, port: 8080, probability: 1 })),
    }));
  const message = 'nat44_add_del_lb_static_mapping';
  return addAndRemove(
    'NAT mappings, 4 locals',
    { message, list: list(true) },
    { message, list: list(false) },
  );
}

function rulesOf(count: number, from: number): readonly Fields[] {
  return times(count, (i) => ({
    is_permit: 'ACL_ACTION_API_PERMIT_REFLECT',
    src_prefix: `${address(1, from + i)}/32`,
    dst_prefix: '0.0.0.0/0',
    proto: 'IP_API_PROTO_TCP',
    srcport_or_icmptype_first: 0,
    srcport_or_icmptype_last: 65535,
    dstport_or_icmpcode_first: 80,
    dstport_or_icmpcode_last: 80,
  }));
}

function accessLists(name: string, count: number, rules: number): Workload {
  const list = times(count, (i) => ({ acl_index: ALL, tag: `policy ${i}`, r: rulesOf(rules, i) }));
  const numbers = times(count, (acl_index) => ({ acl_index }));
  return addAndRemove(name, { message: 'acl_add_replace', list }, { message: 'acl_del', list: numbers });
}

/** An ACL of 1,000 rules. */
export const LARGE_LIST: Fields = { acl_index: ALL, tag: 'large', r: rulesOf(1000, 0) };

/** One ACL, which an interface has, is given other rules again and again. */
export function replacedList(acl_index: number): Workload {
  const list = times(10, (i) => ({ acl_index, tag: 'large', r: rulesOf(1000, i) }));
  return {
    name: 'ACL of 1,000 rules in force',
    batches: [{ message: 'acl_add_replace', list, label: 'replace', measured: true }],
  };
}

function translations(count: number): Workload {
  const endpoint = (addr: string, port: number) => ({ addr, port, sw_if_index: ALL, if_af: 'ADDRESS_IP4' });
  const add = times(count, (i) => ({
    translation: {
      vip: endpoint(address(96, i), 80),
      ip_proto: 'IP_API_PROTO_TCP',
      paths: times(4, (k) => ({
        dst_ep: endpoint(`10.1.${k}.${1 + (i % 250)}`, 8080),
        src_ep: endpoint('0.0.0.0', 0),
      })),
    },
  }));
  const numbers = times(count, (id) => ({ id }));
  return addAndRemove(
    'CNAT translations, 4 paths',
    { message: 'cnat_translation_update', list: add },
    { message: 'cnat_translation_del', list: numbers },
  );
}
