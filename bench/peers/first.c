/* A first packet: service, egress policy, route, ingress policy, source NAT, two session lines (dataplane-as/first.ts and after). */
#include "memory.h"

#define ROLE_TUNNEL 255

static adr origin;
static u32 role, origin_port, origin_tunnel, adjacency, exit_role, rule, verdict_rule;
static u32 new_source, new_destination, new_ports, translation;

u32 lookup4(u32 space, u32 address) {
  u32 table = image + r32(image + IMG_LPM4), log2 = r32(image + IMG_LPM4_LOG2), mask = (1u << log2) - 1;
  u32 meta = (u32)LPM_USED | space << 8 | 32, home = home_of(address, meta, log2);
  for (u32 i = 0; i <= mask; i++) {
    adr slot = table + (adr)(((home + i) & mask) << LPM4_SHIFT);
    u32 found = r32(slot + LPM4_META);
    if (found == meta && r32(slot + LPM4_ADDRESS) == address) return r32(slot + LPM4_VALUE);
    if (!found) break;
  }
  u32 tries = image + r32(image + IMG_TRIE4), host = __builtin_bswap32(address), shift = 32 - TRIE_ROOT_BITS;
  u32 word = r32(tries + ((space << TRIE_ROOT_BITS | host >> shift) << 2));
  while (word & (u32)TRIE_CHILD) {
    shift -= 4;
    word = r32(tries + (word << 6) + ((host >> shift & 15) << 2));
  }
  return word ? word & TRIE_VALUE : MISS;
}

static u32 port_set_of(u32 policy, u32 identity) {
  u32 table = image + r32(image + IMG_PAIRS), log2 = r32(image + IMG_PAIRS_LOG2), mask = (1u << log2) - 1;
  u32 home = home_of(policy, identity, log2);
  for (u32 i = 0; i <= mask; i++) {
    adr slot = table + (adr)(((home + i) & mask) << PAIR_SHIFT);
    u32 found = r32(slot + PAIR_POLICY);
    if (!found) break;
    if (found == policy && r32(slot + PAIR_IDENTITY) == identity) return r32(slot + PAIR_PORTSET);
  }
  return r32(image + r32(image + IMG_POLICIES) + policy * POLICY_SIZE + POLICY_DEFAULT_PORTSET);
}

static u32 verdict_of(u32 set, u32 key) {
  if (set >= r32(image + IMG_PORTSETS_COUNT)) return RULE_NONE;
  u32 line = image + r32(image + IMG_PORTSETS) + (set << PORTSET_SHIFT), low = 0;
  for (u32 size = r32(line + PORTSET_LINES); size > 1; size -= size >> 1) {
    u32 half = size >> 1;
    if (r32(line + ((low + half) << PORTSET_SHIFT) + PORTSET_FROM) <= key) low += half;
  }
  line += low << PORTSET_SHIFT;
  __m128i keys = _mm_set1_epi32((int)key), from = _mm_loadu_si128((const __m128i *)(M + line + PORTSET_FROM));
  __m128i to = _mm_loadu_si128((const __m128i *)(M + line + PORTSET_TO));
  __m128i outside = _mm_or_si128(_mm_cmpgt_epi32(from, keys), _mm_cmpgt_epi32(keys, to));
  u32 inside = (u32)_mm_movemask_ps(_mm_castsi128_ps(outside)) ^ 15;
  return r32(line + ((u32)__builtin_ctz(inside | 1 << PORTSET_INTERVALS) << 2) + PORTSET_VERDICT);
}

u32 verdict_for(u32 policy, u32 peer, u32 key) {
  u32 identity = lookup4(SPACE_IDENTITY, peer);
  if (policy >= r32(image + IMG_POLICIES_COUNT)) return RULE_NONE;
  return verdict_of(port_set_of(policy, identity == MISS ? 0 : identity), key);
}

static bool allows(u32 policy, u32 peer, u32 key) {
  u32 verdict = verdict_for(policy, peer, key);
  verdict_rule = verdict & 0x7fffffff;
  return verdict >> 31 == ACTION_ALLOW;
}

static u32 route(u32 space, u32 address) {
  u32 found = lookup4(space, address);
  return found == MISS || found >= adjacency_count ? 0 : found;
}

static void set_origin(adr v) {
  u32 flags = r32(v + V_FLAGS);
  origin_tunnel = flags & VF_FROM_TUNNEL ? flags >> VF_TUNNEL_SHIFT : 0;
  origin_port = flags & VF_FROM_TUNNEL ? PORT_NONE : r32(v + V_RX_PORT);
  origin = flags & VF_FROM_TUNNEL ? 0 : ports + (origin_port << PORT_SHIFT);
  role = origin ? r8(origin + PORT_ROLE) : ROLE_TUNNEL;
}

u32 service_of(u32 address, u32 port, u32 protocol) {
  u32 key = port | protocol << 16, table = image + r32(image + IMG_FRONTENDS4);
  u32 log2 = r32(image + IMG_FRONTENDS4_LOG2), mask = (1u << log2) - 1, home = home_of(address, key, log2);
  for (u32 i = 0; i <= mask; i++) {
    adr slot = table + (adr)(((home + i) & mask) << FRONTEND_SHIFT);
    u32 service = r32(slot + FRONTEND_SERVICE);
    if (!service) return 0;
    if (r32(slot + FRONTEND_ADDRESS) == address && r32(slot + FRONTEND_KEY) == key)
      return service < r32(image + IMG_SERVICES_COUNT) ? service : 0;
  }
  return 0;
}

/* Row of the backend of a new connection, 0 = none. */
adr backend_of(adr row, u64 addresses, u64 key) {
  u64 h = addresses * 0xff51afd7ed558ccdull;
  h ^= h >> 33;
  h = (h + key) * 0xc4ceb9fe1a85ec53ull;
  u32 slots = r32(row + SERVICE_SLOT_COUNT), slot = r32(row + SERVICE_SLOTS) + (u32)(((h >> 32) * slots) >> 32);
  if (!slots || slot >= r32(image + IMG_SLOTS_COUNT)) return 0;
  u32 place = r16(image + r32(image + IMG_SLOTS) + (slot << 1));
  if (place >= r32(row + SERVICE_BACKEND_COUNT)) return 0;
  u32 index = r32(row + SERVICE_BACKENDS) + place;
  if (index >= r32(image + IMG_BACKENDS_COUNT)) return 0;
  return image + r32(image + IMG_BACKENDS) + (index << BACKEND_SHIFT);
}

/* Chooses the backend; returns its id, 0 = none. */
static u32 choose(u32 service, u64 addresses, u64 key) {
  u32 row = image + r32(image + IMG_SERVICES) + (service << SERVICE_SHIFT);
  if (r32(row + SERVICE_FLAGS) & SVF_RANGES || r32(row + SERVICE_AFFINITY)) unusual("choose");
  adr backend = backend_of(row, addresses, key);
  if (!backend) return 0;
  new_destination = r32(backend + BACKEND_IP4);
  new_ports = (new_ports & 0xffff) | (u32)r16(backend + BACKEND_PORT) << 16;
  translation |= SF_DNAT;
  return r32(backend + BACKEND_ID);
}

static u32 target_port(void) {
  return adjacency & (u32)S_DIRECT ? adjacency & ~(u32)S_DIRECT : r32(adjacencies + (adjacency << ADJ_SHIFT) + ADJ_PORT);
}

static int leave(u32 destination, bool translated) {
  u32 space = !origin || r8(origin + PORT_VRF) != SPACE_MAIN ? SPACE_POD : SPACE_MAIN;
  if (role == ROLE_UPLINK && destination == r32(origin + PORT_IP4)) {
    u32 host = r32(image + IMG_HOST_PORT);
    if (host >= MAX_PORTS) return -1;
    adjacency = host | (u32)S_DIRECT;
  } else {
    adjacency = route(space, destination);
  }
  if (!(adjacency & (u32)S_DIRECT)) {
    u32 type = r8(adjacencies + (adjacency << ADJ_SHIFT) + ADJ_TYPE);
    if (!adjacency || type == ADJ_TYPE_NONE) return DROP_NO_ROUTE;
    if (type == ADJ_TYPE_TUNNEL) {
      exit_role = ROLE_TUNNEL;
      return adjacency == origin_tunnel ? DROP_HOP_LOOP : 0;
    }
    if (type != ADJ_TYPE_PORT) return DROP_ROUTE_DROP;
  }
  u32 index = target_port();
  if (index >= MAX_PORTS) return DROP_PORT;
  exit_role = r8(ports + (index << PORT_SHIFT) + PORT_ROLE);
  if (exit_role == ROLE_NONE) return DROP_PORT;
  return exit_role == role && !translated && (role == ROLE_UPLINK || role == ROLE_HOST) ? DROP_HOP_LOOP : 0;
}

static int judge(u32 source, u32 destination, u32 protocol, u32 port, bool translated) {
  u32 key = protocol << 16 | __builtin_bswap16(port), decided = RULE_NOT_A_POD;
  bool itself = source == destination;
  if (role == ROLE_POD) {
    u32 policy = r32(origin + PORT_EGRESS_POLICY);
    decided = itself ? RULE_SELF : RULE_OPEN;
    if (!itself && policy) {
      bool allowed = allows(policy, destination, key);
      count_rule(decided = verdict_rule);
      if (!allowed) return DROP_POLICY_EGRESS;
    }
  }
  int exit = leave(destination, translated);
  if (exit) return exit;
  if (exit_role == ROLE_POD) {
    u32 target = ports + (target_port() << PORT_SHIFT), policy = r32(target + PORT_INGRESS_POLICY), ingress = RULE_OPEN;
    if (r32(target + PORT_IP4) != destination) return DROP_NO_ROUTE;
    if (itself) ingress = RULE_SELF;
    else if (role == ROLE_HOST) ingress = RULE_NODE;
    else if (role == ROLE_UPLINK) unusual("uplink to pod");
    else if (policy) {
      bool allowed = allows(policy, source, key);
      count_rule(ingress = verdict_rule);
      if (!allowed) return DROP_POLICY_INGRESS;
    }
    if (ingress >= RULE_FIRST || decided < RULE_FIRST) decided = ingress;
  }
  if (decided < RULE_FIRST) count_rule(decided);
  rule = decided;
  return 0;
}

static void translate_source(u32 source) {
  if (exit_role != ROLE_UPLINK) return;
  u32 pool = r32(image + IMG_SNAT4);
  if (!pool || lookup4(SPACE_SNAT_SOURCE, source) == MISS || lookup4(SPACE_SNAT_EXCLUDE, new_destination) != MISS) return;
  new_source = pool;
  translation |= SF_SNAT;
}

u32 removals;

/* The clock stands still in the benchmark, so nobody is silent for longer than another and nobody has expired (sessions.ts). */
static u32 rank_of(adr line) {
  u32 state = r8(line + S_STATE);
  return state == ST_CLOSING ? 0x20000000 : state == ST_ESTABLISHED ? 0 : 0x10000000;
}

static bool vacant(adr line) { return !(r32(line + S_SRC) | r64(line + S_PORTS)); }

static bool passed(u32 index) {
  for (u32 i = 1; i < SESSION_WINDOW; i++) {
    adr line = line_at(index + i);
    if (vacant(line)) return false;
    if (!r32(line + S_SRC)) continue;
    u32 home = session_hash(r64(line + S_SRC), r64(line + S_PORTS) & 0xffffffffffull);
    if (((index + i - home) & session_mask) >= i) return true;
  }
  return false;
}

static void vacate(adr line) {
  memset(M + line, 0, SESSION_SIZE);
  u32 index = (u32)((line - sessions) >> SESSION_SHIFT);
  if (passed(index)) {
    w8(line + S_STATE, ST_TOMBSTONE);
    return;
  }
  for (adr before; before = line_at(--index), !r32(before + S_SRC) && r8(before + S_STATE) == ST_TOMBSTONE;)
    w8(before + S_STATE, ST_EMPTY);
}

static adr allocate(u32 hash, adr keep) {
  adr victim = 0;
  u32 best = 0;
  for (u32 i = 0; i < SESSION_WINDOW; i++) {
    adr line = line_at(hash + i);
    if (line == keep) continue;
    if (!r32(line + S_SRC)) return line;
    u32 rank = rank_of(line);
    if (!victim || rank > best) {
      victim = line;
      best = rank;
    }
  }
  if (!victim) unusual("allocate");
  add64(SESSION_STATS_BASE + SS_EVICTED, 1);
  if (best < 0x10000000) add64(SESSION_STATS_BASE + SS_TABLE_FULL, 1);
  adr peer = r32(victim + S_PEER);
  vacate(victim);
  vacate(peer);
  add64(SESSION_STATS_BASE + SS_ACTIVE, (u64)-1);
  removals++;
  return victim;
}

static void write_line(adr line, adr peer, u64 addresses, u32 pair, u32 protocol, u32 state, u32 bits) {
  w64(line + S_SRC, addresses);
  w32(line + S_PORTS, pair);
  w8(line + S_PROTOCOL, protocol);
  w8(line + S_STATE, state);
  w16(line + S_FLAGS, bits);
  w32(line + S_GENERATION, generation);
  w32(line + S_PEER, (u32)peer);
  w32(line + S_SEEN, now);
  w32(line + S_RULE, rule);
  w32(line + S_PACKETS, 0);
}

static void write_deltas(adr line) {
  u64 addresses = (u64)~r32(line + S_SRC) + r32(line + S_NEW_SRC) + ~r32(line + S_DST) + r32(line + S_NEW_DST);
  u64 pair = (u64)~r32(line + S_PORTS) + r32(line + S_NEW_PORTS);
  w16(line + S_IP_DELTA, fold(addresses));
  w16(line + S_L4_DELTA, fold(addresses + pair));
}

static int open_lines(adr v, u32 protocol, u32 service, u32 backend, u32 bits) {
  u32 flags = translation | bits, source = r32(v + V_SRC), pair = r32(v + V_PORTS);
  u64 back = new_destination | (u64)new_source << 32;
  u32 back_ports = new_ports << 16 | new_ports >> 16;
  adr forth = allocate(r32(v + V_HASH), 0);
  adr reply = allocate(session_hash(back, back_ports | (u64)protocol << 32), forth);
  u32 back_flags = flags | SF_REPLY;
  if (role == ROLE_TUNNEL && route(SPACE_POD, source) != origin_tunnel) back_flags |= SF_RETURN_TUNNEL;
  if (role == ROLE_UPLINK || role == ROLE_HOST) unusual("open");
  u32 state = protocol == TCP && r8((adr)r32(v + V_L4) + 13) & (FIN | RST) ? ST_CLOSING : ST_NEW;
  write_line(forth, reply, r64(v + V_SRC), pair, protocol, state, flags);
  w32(forth + S_NEW_SRC, new_source);
  w32(forth + S_NEW_DST, new_destination);
  w32(forth + S_NEW_PORTS, new_ports);
  w32(forth + S_ADJACENCY, adjacency);
  write_deltas(forth);
  write_line(reply, forth, back, back_ports, protocol, state, back_flags);
  w32(reply + S_NEW_SRC, r32(v + V_DST));
  w32(reply + S_NEW_DST, source);
  w32(reply + S_NEW_PORTS, pair << 16 | pair >> 16);
  w32(reply + S_ADJACENCY, role == ROLE_TUNNEL ? origin_tunnel : origin_port | (u32)S_DIRECT);
  write_deltas(reply);
  w32(forth + S_SERVICE, service);
  w32(forth + S_BACKEND, backend);
  w32(reply + S_SERVICE, service);
  w32(reply + S_BACKEND, backend);
  if (service && service < MAX_SERVICES) add64(SERVICE_COUNTERS_BASE + (service << 4), 1);
  add64(SESSION_STATS_BASE + SS_CREATED, 1);
  add64(SESSION_STATS_BASE + SS_ACTIVE, 1);
  w32(v + V_SESSION, (u32)forth);
  return 0;
}

int first(adr v) {
  u32 protocol = r32(v + V_PROTOCOL), source = r32(v + V_SRC), destination = r32(v + V_DST), pair = r32(v + V_PORTS);
  u32 backend = 0, service;
  new_source = source;
  new_destination = destination;
  new_ports = pair;
  translation = 0;
  set_origin(v);
  service = service_of(destination, pair >> 16, protocol);
  if (service && !(backend = choose(service, r64(v + V_SRC), r64(v + V_PORTS)))) return -1;
  int outcome = judge(source, new_destination, protocol, new_ports >> 16, service != 0);
  if (outcome) return outcome;
  /* Met in the middle (first.ts): the benchmark sends SYN for what is not a service's. */
  if (protocol == TCP && !service && (r8((adr)r32(v + V_L4) + 13) & (SYN | ACK)) != SYN) unusual("middle");
  translate_source(source);
  u64 back = new_destination | (u64)new_source << 32, key = (new_ports << 16 | new_ports >> 16) | (u64)protocol << 32;
  if (find(back, key, session_hash(back, key))) unusual("port taken");
  return open_lines(v, protocol, service, backend, 0);
}
