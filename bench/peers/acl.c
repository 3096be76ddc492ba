/*
 * librte_acl as a peer for classification: acl RULES HEADERS ANSWERS huge|small. Files of little-endian words. A rule is eight:
 * source, its length, destination, its length, source ports (first | last << 16), destination ports, protocol (all ones = any)
 * and one unused; addresses in host order. A header is four: source, destination, ports (source | destination << 16), protocol.
 * The first rule that matches decides. Each line of input is answered by one: "build" with the milliseconds of CPU of each build
 * (several where it is quick, as the first one meets memory that was never touched), "methods" with the methods there are, a method
 * with the nanoseconds of CPU a header of one pass over all headers; "answers" writes those of the latest pass to ANSWERS: 0 = no
 * rule, else its place in the list from 1 on.
 */
#include <rte_acl.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define FIELDS 5
#define BURST 64
#define RULE_WORDS 8
RTE_ACL_RULE_DEF(acl_rule, FIELDS);

/* As the header lies in memory, network order: protocol and 3 bytes unused, source, destination, source port, port. */
struct header {
  uint8_t protocol, pad[3];
  uint32_t src, dst;
  uint16_t source_port, port;
};

static struct rte_acl_field_def fields[FIELDS] = {
    {RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(struct header, protocol)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 1, 1, offsetof(struct header, src)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 2, 2, offsetof(struct header, dst)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 3, 3, offsetof(struct header, source_port)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 4, 3, offsetof(struct header, port)},
};

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static uint32_t *words(const char *path, size_t *count) {
  struct stat info;
  FILE *file = fopen(path, "rb");
  if (!file || stat(path, &info)) exit(2);
  uint32_t *data = malloc(info.st_size + 4);
  *count = fread(data, 4, info.st_size / 4, file);
  fclose(file);
  return data;
}

static void check(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "%s failed: %d\n", what, result);
  exit(2);
}

static struct rte_acl_ctx *build(const char *name, const uint32_t *rules, size_t n) {
  struct rte_acl_param param = {name, SOCKET_ID_ANY, RTE_ACL_RULE_SZ(FIELDS), (uint32_t)n + 1};
  struct rte_acl_ctx *ctx = rte_acl_create(&param);
  if (!ctx) exit(2);
  double start = now_ns();
  for (size_t i = 0; i < n; i++) {
    const uint32_t *from = rules + i * RULE_WORDS;
    struct acl_rule rule;
    memset(&rule, 0, sizeof rule);
    rule.data.category_mask = 1;
    rule.data.priority = (int32_t)(n - i);
    rule.data.userdata = (uint32_t)i + 1;
    rule.field[0].value.u8 = from[6] == 0xffffffff ? 0 : from[6];
    rule.field[0].mask_range.u8 = from[6] == 0xffffffff ? 0 : 0xff;
    for (int side = 0; side < 2; side++) {
      rule.field[1 + side].value.u32 = from[2 * side];
      rule.field[1 + side].mask_range.u32 = from[2 * side + 1];
      rule.field[3 + side].value.u16 = from[4 + side] & 0xffff;
      rule.field[3 + side].mask_range.u16 = from[4 + side] >> 16;
    }
    check(rte_acl_add_rules(ctx, (struct rte_acl_rule *)&rule, 1), "add");
  }
  struct rte_acl_config config;
  memset(&config, 0, sizeof config);
  config.num_categories = 1;
  config.num_fields = FIELDS;
  memcpy(config.defs, fields, sizeof fields);
  check(rte_acl_build(ctx, &config), "build");
  printf(" %.4f", (now_ns() - start) / 1e6);
  return ctx;
}

/* All of the EAL's memory on huge pages, before the builder touches it. */
static int collapse(const struct rte_memseg_list *list, void *unused) {
  (void)unused;
  return madvise(list->base_va, list->len, MADV_HUGEPAGE);
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  /* Without leave for 512 bits the widest method is refused. */
  char *eal[] = {"acl", "--no-huge", "-m", "8192", "--no-pci", "--no-shconf", "--no-telemetry", "--log-level=1", "-c", "1",
                 "--force-max-simd-bitwidth=512"};
  check(rte_eal_init(sizeof eal / sizeof *eal, eal), "rte_eal_init");
  if (!strcmp(argv[4], "huge")) check(rte_memseg_list_walk(collapse, NULL), "madvise");
  size_t n, headers;
  uint32_t *rules = words(argv[1], &n), *in = words(argv[2], &headers);
  n /= RULE_WORDS;
  headers /= 4;
  struct rte_acl_ctx *ctx = NULL;
  struct header *packed = calloc(headers, sizeof *packed);
  const uint8_t **data = malloc(headers * sizeof *data);
  uint32_t *out = calloc(headers, 4);
  for (size_t i = 0; i < headers; i++) {
    packed[i] = (struct header){.protocol = in[4 * i + 3],
                                .src = __builtin_bswap32(in[4 * i]),
                                .dst = __builtin_bswap32(in[4 * i + 1]),
                                .source_port = __builtin_bswap16((uint16_t)in[4 * i + 2]),
                                .port = __builtin_bswap16((uint16_t)(in[4 * i + 2] >> 16))};
    data[i] = (const uint8_t *)&packed[i];
  }
  static const struct { enum rte_acl_classify_alg alg; const char *name; } methods[] = {
      {RTE_ACL_CLASSIFY_SSE, "sse"}, {RTE_ACL_CLASSIFY_AVX2, "avx2"},
      {RTE_ACL_CLASSIFY_AVX512X16, "avx512x16"}, {RTE_ACL_CLASSIFY_AVX512X32, "avx512x32"}};
  const size_t count = sizeof methods / sizeof *methods;
  for (char line[64]; fgets(line, sizeof line, stdin);) {
    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, "build")) {
      for (int i = n <= 1000 ? 5 : n <= 10000 ? 2 : 1; i > 0; i--) {
        rte_acl_free(ctx);
        ctx = build("acl", rules, n);
      }
      printf("\n");
    } else if (!strcmp(line, "methods")) {
      for (size_t m = 0; m < count; m++)
        if (!rte_acl_set_ctx_classify(ctx, methods[m].alg)) printf(" %s", methods[m].name);
      printf("\n");
    } else if (!strcmp(line, "answers")) {
      FILE *file = fopen(argv[3], "wb");
      if (!file) return 2;
      fwrite(out, 4, headers, file);
      fclose(file);
      printf("done\n");
    } else {
      size_t m = 0;
      while (m < count && strcmp(methods[m].name, line)) m++;
      check(m < count ? rte_acl_set_ctx_classify(ctx, methods[m].alg) : -1, line);
      double start = now_ns();
      for (size_t at = 0; at < headers; at += BURST) {
        uint32_t burst = headers - at < BURST ? headers - at : BURST;
        rte_acl_classify(ctx, data + at, out + at, burst, 1);
      }
      printf("%.4f\n", (now_ns() - start) / headers);
    }
    fflush(stdout);
  }
  return 0;
}
