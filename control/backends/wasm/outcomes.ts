/** The names of the pipeline's outcome codes (dataplane-as/layout). Every packet gets exactly one; docs/outcomes.md says what each means. */
import * as L from '../../../dataplane-as/layout/index.js';

export const OUTCOME_NAMES: ReadonlyMap<number, string> = new Map([
  [L.OUT_FORWARD_POD, 'forward-pod'],
  [L.OUT_FORWARD_TUNNEL, 'forward-tunnel'],
  [L.OUT_FORWARD_UPLINK, 'forward-uplink'],
  [L.OUT_FORWARD_HOST, 'forward-host'],
  [L.OUT_ARP_REPLY, 'arp-reply'],
  [L.OUT_ARP_LEARNED, 'arp-learned'],
  [L.OUT_ARP_REQUEST, 'arp-request'],
  [L.OUT_ECHO_REPLY, 'echo-reply'],
  [L.OUT_REJECT_SENT, 'reject-sent'],
  [L.OUT_FRAG_NEEDED_SENT, 'fragmentation-needed-sent'],
  [L.OUT_TTL_EXCEEDED_SENT, 'ttl-exceeded-sent'],
  [L.OUT_ND_REPLY, 'nd-reply'],
  [L.OUT_ND_LEARNED, 'nd-learned'],
  [L.OUT_ND_REQUEST, 'nd-request'],
  [L.DROP_SHORT, 'drop-short'],
  [L.DROP_ETHERTYPE, 'drop-ethertype'],
  [L.DROP_NOT_FOR_US, 'drop-not-for-us'],
  [L.DROP_IP_VERSION, 'drop-ip-version'],
  [L.DROP_IP_HEADER, 'drop-ip-header'],
  [L.DROP_IP_CHECKSUM, 'drop-ip-checksum'],
  [L.DROP_TTL, 'drop-ttl'],
  [L.DROP_MARTIAN, 'drop-martian'],
  [L.DROP_SPOOFED, 'drop-spoofed'],
  [L.DROP_MULTICAST, 'drop-multicast'],
  [L.DROP_L4_HEADER, 'drop-l4-header'],
  [L.DROP_FRAGMENT_TINY, 'drop-fragment-tiny'],
  [L.DROP_FRAGMENT_UNKNOWN, 'drop-fragment-unknown'],
  [L.DROP_NO_ROUTE, 'drop-no-route'],
  [L.DROP_ROUTE_DROP, 'drop-route-drop'],
  [L.DROP_POLICY_EGRESS, 'drop-policy-egress'],
  [L.DROP_POLICY_INGRESS, 'drop-policy-ingress'],
  [L.DROP_SERVICE_SOURCE, 'drop-service-source'],
  [L.DROP_NO_NEIGHBOR, 'drop-no-neighbor'],
  [L.DROP_VXLAN, 'drop-vxlan'],
  [L.DROP_ARP, 'drop-arp'],
  [L.DROP_SESSION_FULL, 'drop-session-full'],
  [L.DROP_SNAT_EXHAUSTED, 'drop-snat-exhausted'],
  [L.DROP_ICMP_ERROR, 'drop-icmp-error'],
  [L.DROP_PORT, 'drop-port'],
  [L.DROP_HOP_LOOP, 'drop-hop-loop'],
  [L.DROP_MTU, 'drop-mtu'],
  [L.DROP_OPTIONS, 'drop-options'],
  [L.DROP_IPV6, 'drop-ipv6'],
  [L.DROP_RATE_LIMIT, 'drop-rate-limit'],
  [L.DROP_SERVICE_ELSEWHERE, 'drop-service-elsewhere'],
  [L.DROP_ND, 'drop-nd'],
  [L.DROP_BANDWIDTH, 'drop-bandwidth'],
  [L.DROP_WORKERS, 'drop-workers'],
]);

/** What a rule id below RULE_FIRST means. */
export const WELL_KNOWN_RULES: ReadonlyMap<number, string> = new Map([
  [L.RULE_OPEN, 'default allow (no policy decides)'],
  [L.RULE_SELF, 'a pod may reach itself'],
  [L.RULE_NODE, 'a node may reach its own pods'],
  [L.RULE_NOT_A_POD, 'no pod of this node is an end of it'],
]);

export function outcomeName(code: number): string {
  return OUTCOME_NAMES.get(code) ?? `outcome-${code}`;
}
