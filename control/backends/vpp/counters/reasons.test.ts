import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OUTCOME_NAMES } from '../../wasm/outcomes.js';
import { dropName, reasonOf, unknownDrop } from './reasons.js';

const test = suite('vpp reasons');

/** Node, symbol in the statistics, description in a trace, and what they mean. */
const SAME: readonly (readonly [string, string, string, string])[] = [
  ['ip4-input', 'time_expired', 'ip4 ttl <= 1', 'drop-ttl'],
  ['ip6-input', 'time_expired', 'ip6 ttl <= 1', 'drop-ttl'],
  ['ip4-input', 'too_short', 'ip4 length < 20 bytes', 'drop-short'],
  ['ip6-input', 'too_short', 'ip6 length < 40 bytes', 'drop-short'],
  ['ip4-input', 'bad_length', 'ip4 length > l2 length', 'drop-ip-header'],
  ['ip4-input', 'hdr_too_short', 'ip4 IHL < 5', 'drop-ip-header'],
  ['ip4-input', 'bad_checksum', 'bad ip4 checksum', 'drop-ip-checksum'],
  ['ip6-input', 'version', 'ip6 version != 6', 'drop-ip-version'],
  ['ip4-input', 'options', 'ip4 options present', 'drop-options'],
  ['ip4-input', 'fragment_offset_one', 'ip4 fragment offset == 1', 'drop-fragment-tiny'],
  ['ip4-midchain', 'mtu_exceeded', 'ip4 MTU exceeded and DF set', 'drop-mtu'],
  ['ip6-rewrite', 'mtu_exceeded', 'ip6 MTU exceeded', 'drop-mtu'],
  ['ip4-local', 'dst_lookup_miss', 'ip4 destination lookup miss', 'drop-no-route'],
  ['ip4-local', 'src_lookup_miss', 'ip4 source lookup miss', 'drop-martian'],
  ['ip4-local', 'spoofed_local_packets', 'ip4 spoofed local-address packet drops', 'drop-spoofed'],
  ['ip6-input', 'rpf_failure', 'Multicast RPF check failed', 'drop-multicast'],
  ['ip4-local', 'udp_checksum', 'bad udp checksum', 'drop-l4-header'],
  ['ip4-local', 'udp_length', 'inconsistent udp/ip lengths', 'drop-l4-header'],
  ['ip4-udp-lookup', 'no_listener', 'No listener for dst port', 'drop-port'],
  [
    'ip4-sv-reassembly',
    'reass_timeout',
    'fragments dropped due to reassembly timeout',
    'drop-fragment-unknown',
  ],
  ['ip6-sv-reassembly', 'reass_overlapping_fragment', 'overlapping fragments', 'drop-fragment-unknown'],
  ['arp-reply', 'replies_received', 'ARP replies received', 'arp-learned'],
  ['arp-reply', 'gratuitous_arp', 'ARP probe or announcement dropped', 'arp-learned'],
  ['arp-reply', 'l3_dst_address_not_local', 'IP4 destination address not local to subnet', 'drop-arp'],
  ['arp-reply', 'replies_sent', 'ARP replies sent', 'arp-reply'],
  ['ip4-glean', 'request_sent', 'ARP requests sent', 'arp-request'],
  ['ip4-arp', 'throttled', 'ARP requests throttled', 'drop-no-neighbor'],
  ['ip6-discover-neighbor', 'request_sent', 'neighbor solicitations sent', 'nd-request'],
  ['ip6-icmp-input', 'neighbor_advertisements_rx', 'neighbor advertisements received', 'nd-learned'],
  ['ip6-icmp-input', 'neighbor_advertisements_tx', 'neighbor advertisements sent', 'nd-reply'],
  ['ip6-icmp-input', 'invalid_hop_limit_for_type', 'hop_limit != 255', 'drop-nd'],
  ['ip4-icmp-input', 'echo_replies_sent', 'echo replies sent', 'echo-reply'],
  ['ip4-icmp-input', 'unknown_type', 'unknown type', 'drop-icmp-error'],
  ['ip4-icmp-error', 'ttl_expire_sent', 'hop limit exceeded response sent', 'ttl-exceeded-sent'],
  ['ip4-icmp-error', 'dest_unreach_sent', 'destination unreachable response sent', 'reject-sent'],
  ['ip6-icmp-error', 'packet_too_big_sent', 'packet too big response sent', 'fragmentation-needed-sent'],
];

/** Nodes whose errors have one name only. */
const ONE: readonly (readonly [string, string, string])[] = [
  ['acl-plugin-in-ip4-fa', 'ACL deny packets', 'drop-policy-egress'],
  ['acl-plugin-out-ip6-fa', 'ACL deny packets', 'drop-policy-ingress'],
  ['acl-plugin-in-ip4-fa', 'too many sessions to add new', 'drop-session-full'],
  ['ip6-rx-urpf-strict', 'uRPF Drop', 'drop-spoofed'],
  ['policer-input', 'Packets Dropped', 'drop-bandwidth'],
  ['cnat-output-ip4', 'no more free ports', 'drop-snat-exhausted'],
  ['nat44-ed-in2out-slowpath', 'out of ports', 'drop-snat-exhausted'],
  ['nat44-ed-out2in-slowpath', 'maximum sessions exceeded', 'drop-session-full'],
  ['vxlan4-input', 'no such tunnel packets', 'drop-vxlan'],
  ['ethernet-input', 'no error', 'drop-no-route'],
  ['null-node', 'blackholed packets', 'drop-no-route'],
  ['ethernet-input', 'l3 mac mismatch', 'drop-not-for-us'],
  ['ethernet-input', 'unknown ethernet type', 'drop-ethertype'],
  ['host-pod-output', 'interface is down', 'drop-port'],
  ['host-pod-tx', 'tx ring overrun', 'drop-queue-full'],
  ['xdp-pod-tx', 'no free tx slots', 'drop-queue-full'],
  ['tap3-tx', 'gso disabled on itf  -- gso packet drop', 'drop-queue-full'],
  ['memif0/1-tx', 'no enough space in tx buffers', 'drop-queue-full'],
  ['TenGigabitEthernet3/0/0-tx', 'Tx packet drops (dpdk tx failure)', 'drop-queue-full'],
  ['l2-output', 'L2 split horizon drops', 'drop-hop-loop'],
  ['feature-bitmap-drop', 'L2 feature forwarding disabled', 'drop-vxlan'],
];

test('symbols and descriptions mean the same', () => {
  for (const [node, symbol, description, outcome] of SAME) {
    assert.is(dropName(node, symbol), outcome, `${node}/${symbol}`);
    assert.is(dropName(node, description), outcome, `${node}: ${description}`);
  }
  for (const [node, error, outcome] of ONE) assert.is(dropName(node, error), outcome, `${node}: ${error}`);
});

test('names are those of the other backend where they mean the same', () => {
  const names = new Set(OUTCOME_NAMES.values());
  for (const outcome of [...SAME.map((row) => row[3]), ...ONE.map((row) => row[2])]) {
    if (outcome !== 'drop-queue-full') assert.ok(names.has(outcome), outcome);
  }
});

test('figures are no reasons, and what nobody knows has a name of its own', () => {
  for (const [node, error] of [
    ['acl-plugin-in-ip4-fa', 'checked packets'],
    ['acl-plugin-out-ip6-fa', 'new sessions added'],
    ['af-packet-input', 'timed out block'],
    ['ip4-icmp-error', 'error message dropped'],
    ['ip6-icmp-error', 'drop'],
    ['vxlan4-input', 'good packets decapsulated'],
    ['vxlan4-encap', 'good packets encapsulated'],
    ['ip4-input', 'none'],
    ['ip4-sv-reassembly', 'reass_success'],
    ['l2-fwd', 'L2 forward hits'],
    ['policer-output', 'Packets Transmitted'],
    ['xdp-pod-tx', 'syscall required'],
    ['host-pod-tx', 'tx sendto temporary failure'],
    ['tap3-tx', 'pending msgs in tx ring'],
  ] as const) {
    assert.is(reasonOf(node, error)?.kind, 'figure', `${node}: ${error}`);
    assert.is(dropName(node, error), 'drop-no-route');
  }
  assert.is(reasonOf('some-plugin', 'Too bad!'), null);
  assert.is(unknownDrop('some-plugin', 'Too bad!'), 'drop-vpp-some-plugin-too-bad');
  assert.is(dropName('some-plugin', 'too_bad'), 'drop-vpp-some-plugin-too-bad');
});

test.run();
