/*
 * librte_acl as a peer for classification: acl RULES HEADERS ANSWERS. Files of little-endian words; a rule is source,
 * destination, protocol << 16 | port (host order, exact); a header the same three and an empty one. Prints a line for the build
 * (milliseconds) and one for each method (nanoseconds a header, best of 5); answers of the last one go to ANSWERS.
 */
#include <rte_acl.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FIELDS 5
#define BURST 256
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
  clock_gettime(CLOCK_MONOTONIC, &t);
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

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  char *eal[] = {"acl", "--no-huge", "-m", "4096", "--no-pci", "--no-shconf", "--no-telemetry", "--log-level=1", "-c", "1"};
  check(rte_eal_init(10, eal), "rte_eal_init");
  size_t n, headers;
  uint32_t *rules = words(argv[1], &n), *in = words(argv[2], &headers);
  n /= 3;
  headers /= 4;
  struct rte_acl_param param = {"acl", SOCKET_ID_ANY, RTE_ACL_RULE_SZ(FIELDS), (uint32_t)n + 1};
  struct rte_acl_ctx *ctx = rte_acl_create(&param);
  if (!ctx) return 2;
  double start = now_ns();
  for (size_t i = 0; i < n; i++) {
    struct acl_rule rule;
    memset(&rule, 0, sizeof rule);
    uint32_t key = rules[3 * i + 2];
    rule.data.category_mask = 1;
    rule.data.priority = (int32_t)(n - i);
    rule.data.userdata = (uint32_t)i + 1;
    rule.field[0].value.u8 = key >> 16;
    rule.field[0].mask_range.u8 = 0xff;
    rule.field[1].value.u32 = __builtin_bswap32(rules[3 * i]);
    rule.field[1].mask_range.u32 = 32;
    rule.field[2].value.u32 = __builtin_bswap32(rules[3 * i + 1]);
    rule.field[2].mask_range.u32 = 32;
    rule.field[3].value.u16 = 0;
    rule.field[3].mask_range.u16 = 0xffff;
    rule.field[4].value.u16 = key;
    rule.field[4].mask_range.u16 = key;
    check(rte_acl_add_rules(ctx, (struct rte_acl_rule *)&rule, 1), "add");
  }
  struct rte_acl_config config;
  memset(&config, 0, sizeof config);
  config.num_categories = 1;
  config.num_fields = FIELDS;
  memcpy(config.defs, fields, sizeof fields);
  check(rte_acl_build(ctx, &config), "build");
  printf("build %.3f\n", (now_ns() - start) / 1e6);
  struct header *packed = calloc(headers, sizeof *packed);
  const uint8_t **data = malloc(headers * sizeof *data);
  uint32_t *out = calloc(headers, 4);
  for (size_t i = 0; i < headers; i++) {
    packed[i] = (struct header){.protocol = in[4 * i + 2] >> 16,
                                .src = in[4 * i],
                                .dst = in[4 * i + 1],
                                .port = __builtin_bswap16((uint16_t)in[4 * i + 2])};
    data[i] = (const uint8_t *)&packed[i];
  }
  static const struct { enum rte_acl_classify_alg alg; const char *name; } methods[] = {
      {RTE_ACL_CLASSIFY_SSE, "sse"}, {RTE_ACL_CLASSIFY_AVX2, "avx2"},
      {RTE_ACL_CLASSIFY_AVX512X16, "avx512x16"}, {RTE_ACL_CLASSIFY_AVX512X32, "avx512x32"}};
  for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
    double best = 1e18;
    if (rte_acl_set_ctx_classify(ctx, methods[m].alg)) continue;
    for (int round = 0; round < 5; round++) {
      start = now_ns();
      for (size_t at = 0; at < headers; at += BURST) {
        uint32_t burst = headers - at < BURST ? headers - at : BURST;
        rte_acl_classify(ctx, data + at, out + at, burst, 1);
      }
      double took = (now_ns() - start) / headers;
      if (took < best) best = took;
    }
    printf("%s %.2f\n", methods[m].name, best);
  }
  FILE *file = fopen(argv[3], "wb");
  if (!file) return 2;
  fwrite(out, 4, headers, file);
  fclose(file);
  return 0;
}
