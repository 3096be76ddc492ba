/** Trace records. */

// 64-byte records: packet number, time, stage, then five words that depend on the stage. IPv6: the stage has STAGE_IP6 set, and
// words that are addresses are 0: the source stands in TR_SRC6, the destination (or the one address there is) in TR_DST6.
export const TRACE_CAPACITY = 2048;
export const TRACE_SIZE = 64;
export const TR_PACKET = 0;
export const TR_TIME = 4;
export const TR_STAGE = 8; // u16
export const TR_PORT = 10; // u16
export const TR_A = 12;
export const TR_B = 16;
export const TR_C = 20;
export const TR_D = 24;
export const TR_E = 28;
export const TR_SRC6 = 32;
export const TR_DST6 = 48;
export const STAGE_IP6 = 0x100;
export const STAGE_RECEIVE = 1; // a src, b dst, c ports, d protocol, e length
export const STAGE_DECAP = 2; // a outer src, b vni, c adjacency
export const STAGE_SESSION_HIT = 3; // a line address, b rule, c generation
export const STAGE_SERVICE = 4; // a service index, b backend ip, c backend port (network), d backend id
export const STAGE_EGRESS = 5; // a policy, b identity of the peer, c action, d rule
export const STAGE_ROUTE = 6; // a destination, b adjacency, c space
export const STAGE_INGRESS = 7; // as STAGE_EGRESS
export const STAGE_SNAT = 8; // a new source, b new port (network)
export const STAGE_SESSION_NEW = 9; // a line address, b rule
export const STAGE_REWRITE = 10; // a src, b dst, c ports
export const STAGE_ENCAP = 11; // a outer dst, b vni, c outer source port
export const STAGE_OUTCOME = 12; // a outcome code, b tx port

// Well-known rule ids: real rules start at RULE_FIRST.
export const RULE_NONE = 0;
export const RULE_OPEN = 1; // no policy selects the pod in this direction
export const RULE_SELF = 2; // a pod to itself
export const RULE_NODE = 3; // the node to its own pod
export const RULE_NOT_A_POD = 4; // neither end is a pod of this node
export const RULE_FIRST = 16;
