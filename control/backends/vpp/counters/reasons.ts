/**
 * What VPP's error counters mean. VPP counts by node and error; some are reasons of drops, some answers, some just figures, and the
 * severity VPP gives them does not tell which. The statistics name an error by its symbol (`time_expired`), a trace by its description
 * (`ip4 ttl <= 1`): both are understood. Outcomes have the names of docs/outcomes.md.
 */

export type Reason =
  /** The packet went to the node that counts drops and frees them. */
  | { readonly kind: 'drop'; readonly outcome: string }
  /** Freed where it was, and counted nowhere else. */
  | { readonly kind: 'lost'; readonly outcome: string }
  /** Turned into its own answer. */
  | { readonly kind: 'answer'; readonly outcome: string }
  /** An ICMP error was sent for a packet; that one is dropped as well, for a reason of its own. */
  | { readonly kind: 'told'; readonly outcome: string }
  /** No packet ends here. */
  | { readonly kind: 'figure' };

type Rule = readonly [node: RegExp, error: RegExp, reason: Reason];

const drop = (outcome: string): Reason => ({ kind: 'drop', outcome });
const answer = (outcome: string): Reason => ({ kind: 'answer', outcome });
const told = (outcome: string): Reason => ({ kind: 'told', outcome });
const LOST: Reason = { kind: 'lost', outcome: 'drop-queue-full' };
const FIGURE: Reason = { kind: 'figure' };

const ANY = /^/;
const IP = /^ip[46]-/;
const ICMP = /^ip[46]-icmp-|^icmp/;

/** The first that fits counts. Errors as `words` makes them. */
const RULES: readonly Rule[] = [
  [/^acl-plugin-in-/, /^acl_deny|^dropped/, drop('drop-policy-egress')],
  [/^acl-plugin-out-/, /^acl_deny|^dropped/, drop('drop-policy-ingress')],
  [/^acl-plugin-/, /^too_many_sessions/, drop('drop-session-full')],
  [/^acl-plugin-/, ANY, FIGURE],
  [/-urpf-(strict|loose)$/, ANY, drop('drop-spoofed')],
  [/^policer-/, /dropped$/, drop('drop-bandwidth')],
  [/^policer-/, /transmitted$/, FIGURE],
  [/cnat/, /no_more_free_ports/, drop('drop-snat-exhausted')],
  [/cnat/, /allocation_failure/, drop('drop-session-full')],
  [/cnat/, /retries/, FIGURE],
  [/^nat44-/, /out_of_ports/, drop('drop-snat-exhausted')],
  [/^nat44-/, /maximum_sessions|hash_table_add_failed/, drop('drop-session-full')],
  [/^nat44-.*handoff/, /same_worker|do_handoff/, FIGURE],
  [/^vxlan[46]?-input$/, /^good|^no_error/, FIGURE],
  [/^vxlan[46]?-input$/, ANY, drop('drop-vxlan')],
  [/^vxlan[46]?-encap$/, ANY, FIGURE],
  // VPP's first error of all: what is dropped without a reason has this one. No route does that.
  [/^(ethernet-input|null-node)$/, /^no_error$|^blackholed/, drop('drop-no-route')],
  [/^ethernet-input$/, /mac_mismatch/, drop('drop-not-for-us')],
  [/^ethernet-input$/, /subinterface_down/, drop('drop-port')],
  [/^ethernet-input$/, ANY, drop('drop-ethertype')],
  [/^arp-/, /arp_replies_sent$|^replies_sent$/, answer('arp-reply')],
  [/^arp-/, /gratuitous|announcement|replies_received|address_learned/, drop('arp-learned')],
  [/^arp-/, ANY, drop('drop-arp')],
  [/^ip4-(glean|arp)$/, /requests?_sent/, drop('arp-request')],
  [/^ip6-(glean|discover-neighbor)$/, /request_sent|solicitations_sent/, drop('nd-request')],
  [/^ip[46]-(glean|arp|discover-neighbor)$/, ANY, drop('drop-no-neighbor')],
  [ICMP, /^echo_replies_sent/, answer('echo-reply')],
  [ICMP, /^neighbor_advertisements_(tx|sent)/, answer('nd-reply')],
  [ICMP, /^neighbor_advertisements_(rx|received)/, drop('nd-learned')],
  [ICMP, /^neighbor_|^router_|hop_limit_for_type|^hop_limit_255|option/, drop('drop-nd')],
  [ICMP, /^(ttl_expire|hop_limit_exceeded)/, told('ttl-exceeded-sent')],
  [ICMP, /^(packet_)?too_big/, told('fragmentation-needed-sent')],
  [ICMP, /^dest(ination)?_unreach/, told('reject-sent')],
  // An error that VPP's limit stopped; the packet that it was about has a reason of its own.
  [/icmp-error$/, /^drop$|^error_message_dropped/, FIGURE],
  [ICMP, /^(none|valid_packets)$|^param/, FIGURE],
  [ICMP, ANY, drop('drop-icmp-error')],
  [IP, /^reass_(success|fragments|to_custom)|^successful|^fragments_(reassembled|received)/, FIGURE],
  [IP, /reass|fragment_chain|(duplicate|overlapping)_fragments/, drop('drop-fragment-unknown')],
  [IP, /fragment_offset/, drop('drop-fragment-tiny')],
  [IP, /^too_short|^ip[46]_length_\d/, drop('drop-short')],
  [IP, /^(bad_length|hdr_too_short)|^ip[46]_length_l2|^ip4_ihl/, drop('drop-ip-header')],
  [IP, /^bad_(ip4_)?checksum/, drop('drop-ip-checksum')],
  [IP, /^(ip[46]_)?version/, drop('drop-ip-version')],
  [IP, /^(ip4_)?options/, drop('drop-options')],
  // All that classifiers refuse; what they looked at they count apart.
  [IP, /^(inacl|input_acl)_(table_miss|session_deny)/, drop('drop-options')],
  [/^ip[46]-inacl$/, ANY, FIGURE],
  // Membership reports: of stations, and VPP's own on its loopbacks.
  [/^ip6-local-hop-by-hop$/, /^unknown_protocol/, drop('drop-multicast')],
  [/^ip6-.*hop-by-hop/, /^good|removed|added|^pkts_with/, FIGURE],
  [/^ip6-.*hop-by-hop/, ANY, drop('drop-options')],
  [IP, /^time_expired|ttl/, drop('drop-ttl')],
  [IP, /mtu_exceeded|^dont_fragment|^can_t_fragment_this/, drop('drop-mtu')],
  [IP, /(dst|destination)_lookup_miss/, drop('drop-no-route')],
  [IP, /(src|source)_lookup_miss/, drop('drop-martian')],
  [IP, /spoofed/, drop('drop-spoofed')],
  [IP, /^rpf_failure|rpf_check/, drop('drop-multicast')],
  [IP, /(tcp|udp|icmp)_(checksum|length)|udp_ip_lengths/, drop('drop-l4-header')],
  [IP, /^(ip[46]_)?drop$/, drop('drop-route-drop')],
  [IP, /same_interface|same_as_ingress/, drop('drop-hop-loop')],
  [/^(ip[46]-udp-lookup|udp[46]-input|ip[46]-local)$/, /^no_listener|^unknown_udp_port/, drop('drop-port')],
  [IP, /^(none|valid_ip[46]_packets)$/, FIGURE],
  [/-output$/, /^interface_is_|^no_tx_queue/, drop('drop-port')],
  // Drivers: VPP's own virtio counts what it loses as a drop of the interface too, the others do not.
  [/^(tap|virtio).*-tx$/, /no_free|drop$/, drop('drop-queue-full')],
  [/-tx$/, /overrun|no_free|no_enough_space|packet_drops/, LOST],
  [/-tx$/, ANY, FIGURE],
  [/^l2-flood$|^l2-fwd$/, /mac_mismatch/, drop('drop-not-for-us')],
  [/^l2-fwd$/, /reflection/, drop('drop-hop-loop')],
  [/^l2-output$/, /split_horizon/, drop('drop-hop-loop')],
  [/^feature-bitmap-drop$/, ANY, drop('drop-vxlan')],
  [/^l2-/, /drop|fail|invalid|not_valid/, drop('drop-vxlan')],
  [/^l2-/, ANY, FIGURE],
  // What a driver complains of never was a packet of ours.
  [/(^|[_-])input$/, /block|syscall|buffer|queue|partial|desc/, FIGURE],
  [/^punt-/, /^dispatched/, FIGURE],
];

/** Nodes have the names of interfaces, which come and go: what is known is forgotten now and then. */
const MOST_KNOWN = 10_000;
const known = new Map<string, Reason | null>();

/** Null: nothing is known of it. `error` is a symbol or a description. */
export function reasonOf(node: string, error: string): Reason | null {
  const key = `${node}/${error}`;
  let reason = known.get(key);
  if (reason === undefined) {
    const plain = words(error);
    reason = RULES.find(([nodes, errors]) => nodes.test(node) && errors.test(plain))?.[2] ?? null;
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(key, reason);
  }
  return reason;
}

/**
 * The outcome of a packet that was dropped for this. A figure is what an earlier node said of a packet that was then dropped without a
 * reason: no route does that.
 */
export function dropName(node: string, error: string): string {
  const reason = reasonOf(node, error);
  if (reason === null) return unknownDrop(node, error);
  return reason.kind === 'figure' ? 'drop-no-route' : reason.outcome;
}

/** The outcome of a drop that nobody has given a name: VPP's own. */
export function unknownDrop(node: string, error: string): string {
  return `drop-vpp-${node}-${words(error).replaceAll('_', '-')}`;
}

/** Lower case, everything else than letters and digits is one `_`. */
function words(error: string): string {
  return error
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_|_$/g, '');
}
