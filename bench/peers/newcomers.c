/* First packets of the usual kind together: decided (dataplane-as/newcomers.ts), then opened (dataplane-as/establish.ts). */
#include "memory.h"

#define NOBODY 0xffffffffu
#define ALLOW ((u32)VERDICT_ALLOW)

typedef struct {
  u64 next;
  adr v;
  u32 new_ports, rule, service, backend, ahead, back, flags, back_flags, hash, egress, ingress;
} newcomer;

static newcomer list[VECTOR_CAPACITY] __attribute__((aligned(64)));
volatile u32 touched_answers;

static bool serve(adr v, newcomer *to) {
  u32 vf = r32(v + V_FLAGS), protocol = r32(v + V_PROTOCOL), pair = r32(v + V_PORTS);
  if (vf & (VF_LATER_FRAGMENT | VF_ICMP_ERROR)) return false;
  if (protocol == TCP) {
    if ((r8((adr)r32(v + V_L4) + 13) & (SYN | ACK)) != SYN) return false;
  } else if (protocol != UDP) {
    return false;
  }
  u32 back = vf >> VF_TUNNEL_SHIFT;
  if (!(vf & VF_FROM_TUNNEL)) {
    u32 rx = r32(v + V_RX_PORT);
    if (r8(ports + ((adr)rx << PORT_SHIFT) + PORT_ROLE) != ROLE_POD) return false;
    back = rx | (u32)S_DIRECT;
  }
  u32 source = r32(v + V_SRC), destination = r32(v + V_DST), new_ports = pair, id = 0, flags = 0;
  u32 service = service_of(destination, pair >> 16, protocol);
  if (service) {
    u32 row = image + r32(image + IMG_SERVICES) + (service << SERVICE_SHIFT);
    if ((r32(row + SERVICE_FLAGS) & SVF_RANGES) | r32(row + SERVICE_AFFINITY)) return false;
    adr backend = backend_of(row, r64(v + V_SRC), r64(v + V_PORTS));
    if (!backend) return false;
    destination = r32(backend + BACKEND_IP4);
    new_ports = (pair & 0xffff) | (u32)r16(backend + BACKEND_PORT) << 16;
    id = r32(backend + BACKEND_ID);
    flags = SF_DNAT;
    if (destination == source) return false;
  }
  if (protocol == UDP && ((new_ports & 0xffff) == 0xb512 || new_ports >> 16 == 0xb512)) return false;
  to->next = source | (u64)destination << 32;
  to->new_ports = new_ports;
  to->v = v;
  to->service = service;
  to->backend = id;
  to->back = back;
  to->flags = flags;
  return true;
}

static bool judge_newcomer(newcomer *at) {
  u32 source = (u32)at->next, destination = (u32)(at->next >> 32), protocol = r32(at->v + V_PROTOCOL);
  u32 key = protocol << 16 | __builtin_bswap16(at->new_ports >> 16), rule = RULE_NOT_A_POD, space = SPACE_POD;
  bool itself = source == destination;
  at->egress = at->ingress = NOBODY;
  at->back_flags = 0;
  if (at->back & (u32)S_DIRECT) {
    adr origin = ports + ((adr)(at->back & ~(u32)S_DIRECT) << PORT_SHIFT);
    u32 policy = r32(origin + PORT_EGRESS_POLICY);
    if (r8(origin + PORT_VRF) == SPACE_MAIN) space = SPACE_MAIN;
    rule = itself ? RULE_SELF : RULE_OPEN;
    if (!itself && policy) {
      u32 verdict = verdict_for(policy, destination, key);
      at->egress = rule = verdict & ~ALLOW;
      if (rule == verdict) unusual("denied");
    }
  } else if (lookup4(SPACE_POD, source) != at->back) {
    at->back_flags = SF_RETURN_TUNNEL;
  }
  u32 way = lookup4(space, destination);
  if (!way || way >= adjacency_count) return false;
  adr adjacency = adjacencies + ((adr)way << ADJ_SHIFT);
  u32 type = r8(adjacency + ADJ_TYPE), new_source = source;
  if (type == ADJ_TYPE_TUNNEL) {
    if (way == at->back) return false;
  } else {
    u32 port = r32(adjacency + ADJ_PORT);
    if (type != ADJ_TYPE_PORT || port >= MAX_PORTS) return false;
    adr target = ports + ((adr)port << PORT_SHIFT);
    u32 role = r8(target + PORT_ROLE);
    if (role == ROLE_NONE) return false;
    if (role == ROLE_POD) {
      if (r32(target + PORT_IP4) != destination) return false;
      u32 policy = r32(target + PORT_INGRESS_POLICY), arrived = itself ? RULE_SELF : RULE_OPEN;
      if (!itself && policy) {
        u32 verdict = verdict_for(policy, source, key);
        at->ingress = arrived = verdict & ~ALLOW;
        if (arrived == verdict) unusual("denied");
      }
      if (arrived >= RULE_FIRST || rule < RULE_FIRST) rule = arrived;
    } else if (role == ROLE_UPLINK) {
      u32 pool = r32(image + IMG_SNAT4);
      if (pool && lookup4(SPACE_SNAT_SOURCE, source) != MISS && lookup4(SPACE_SNAT_EXCLUDE, destination) == MISS) {
        new_source = pool;
        at->next = new_source | (u64)destination << 32;
        at->flags |= SF_SNAT;
      }
    }
  }
  at->rule = rule;
  at->ahead = way;
  at->hash = session_hash(destination | (u64)new_source << 32,
                          (at->new_ports << 16 | at->new_ports >> 16) | (u64)protocol << 32);
  return true;
}

/* A tuple's line (found), or the first one from its home on that is free for it and not `keep`; 0 = neither. */
INLINE adr place(u64 addresses, u64 key, u32 hash, adr keep, bool *found) {
  adr vacant = 0;
  for (u32 i = 0; i < SESSION_WINDOW; i++) {
    adr line = line_at(hash + i);
    u64 one = r64(line + S_SRC), two = r64(line + S_PORTS);
    if (one == addresses && (two & KEY_MASK) == key) {
      *found = true;
      return line;
    }
    if ((u32)one || line == keep) continue;
    if (!vacant) vacant = line;
    if (!two) break;
  }
  return vacant;
}

INLINE u32 opposite(u32 delta) { return delta == 0xffff ? delta : delta ^ 0xffff; }

INLINE void fill(adr line, adr peer, u64 addresses, u64 key, u64 next, u64 changed, u32 way, const newcomer *of) {
  w64(line + S_SRC, addresses);
  w64(line + S_PORTS, key);
  w64(line + S_GENERATION, generation | peer << 32);
  w64(line + S_NEW_SRC, next);
  w64(line + S_NEW_PORTS, changed);
  w64(line + S_ADJACENCY, way | (u64)now << 32);
  w64(line + S_RULE, of->rule | (u64)of->service << 32);
  w64(line + S_BACKEND, of->backend);
}

static void establish(newcomer *end) {
  u64 created = 0;
  for (newcomer *at = list; at < end; at++) {
    adr v = at->v;
    if (!v) continue;
    u64 addresses = r64(v + V_SRC), tuple = r64(v + V_PORTS), next = at->next, back = next << 32 | next >> 32;
    u32 protocol = r32(v + V_PROTOCOL), pair = (u32)tuple, new_ports = at->new_ports;
    u64 answers = (new_ports << 16 | new_ports >> 16) | (u64)protocol << 32;
    bool found = false;
    adr forth = place(addresses, tuple, r32(v + V_HASH), 0, &found);
    if (found) {
      w32(v + V_SESSION, (u32)forth);
      continue;
    }
    if (!forth) continue;
    adr reply = place(back, answers, at->hash, forth, &found);
    if (found || !reply) continue;
    u32 flags = at->flags, back_flags = flags | at->back_flags | SF_REPLY;
    u64 changed = (u64)(u32)~addresses + (u32)next + (u32)~(addresses >> 32) + (next >> 32);
    u32 delta = fold(changed), delta4 = fold(changed + (u32)~pair + new_ports);
    fill(forth, reply, addresses, tuple | (u64)(ST_NEW << 8 | flags << 16) << 32, next,
         new_ports | (u64)(delta | delta4 << 16) << 32, at->ahead, at);
    fill(reply, forth, back, answers | (u64)(ST_NEW << 8 | back_flags << 16) << 32, addresses << 32 | addresses >> 32,
         (pair << 16 | pair >> 16) | (u64)(opposite(delta) | opposite(delta4) << 16) << 32, at->back, at);
    w32(v + V_SESSION, (u32)forth);
    created++;
    count_rule(at->egress);
    count_rule(at->ingress);
    if (at->rule < RULE_FIRST) count_rule(at->rule);
    if (at->service - 1 < MAX_SERVICES - 1) add64(SERVICE_COUNTERS_BASE + (at->service << 4), 1);
  }
  add64(SESSION_STATS_BASE + SS_CREATED, created);
  add64(SESSION_STATS_BASE + SS_ACTIVE, created);
}

void newcomers(u32 n) {
  newcomer *end = list;
  for (adr v = VECTOR_BASE, last = v + (adr)n * VECTOR_SIZE; v < last; v += VECTOR_SIZE)
    if (!r32(v + V_OUTCOME) && !r32(v + V_SESSION) && serve(v, end)) end++;
  for (newcomer *at = list; at < end; at++)
    if (!judge_newcomer(at)) at->v = 0;
  u32 sum = 0;
  for (newcomer *at = list; at < end; at++) sum += r32(line_at(at->hash));
  for (newcomer *at = list; at < end; at++) sum += second_of(at->hash);
  touched_answers = sum;
  establish(end);
}
