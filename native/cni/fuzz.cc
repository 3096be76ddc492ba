// The parsers of the CNI plugin against hostile input, built with sanitizers: a test, no part of the plugin.
//
//   pteropus-cni-fuzz SEED ROUNDS
//
// Good inputs are mutated and read. Whatever comes out, nothing may be read or written where it should not be, and what is good must
// stay readable. Prints how many inputs were accepted and refused.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "hpack.h"
#include "json.h"
#include "netconf.h"
#include "protobuf.h"
#include "unary.h"

namespace {

using namespace pteropus::cni;

using Random = std::mt19937_64;

std::string frame(char type, char flags, char stream, const std::string& payload) {
  std::string out;
  for (int shift = 16; shift >= 0; shift -= 8) out.push_back(static_cast<char>(payload.size() >> shift));
  out.push_back(type);
  out.push_back(flags);
  return out + std::string("\0\0\0", 3) + stream + payload;
}

// A server's side of a good call: settings, ping, headers, two pieces of the message, trailers.
std::string goodAnswer() {
  const std::string outcome = std::string("\x08\x00\x12\x05hello", 9);
  const std::string message = std::string("\0\0\0\0\x09", 5) + outcome;
  std::string headers, trailers;
  appendIndexed(headers, 8);
  appendField(headers, 31, "application/grpc");
  appendField(trailers, "grpc-status", "0");
  appendField(trailers, "grpc-message", "all%20well");
  return frame(4, 0, 0, std::string("\0\x04\0\0\x10\0", 6)) + frame(4, 1, 0, "") + frame(6, 0, 0, "12345678") +
         frame(8, 0, 0, std::string("\0\0\x10\0", 4)) + frame(1, 4, 1, headers) + frame(0, 0, 1, message.substr(0, 7)) +
         frame(0, 8, 1, '\x02' + message.substr(7) + std::string(2, '\0')) + frame(1, 5, 1, trailers);
}

const char* const kConfigs[] = {
    R"({"cniVersion":"1.0.0","name":"net","type":"pteropus","socket":"/run/x.sock","timeoutMs":3e3,"deep":[[{"a":[null,true,-1.5e-7]}]]})",
    R"({"cniVersion":"1.1.0","name":"\u00fc\ud83d\ude00\n","prevResult":{"ips":[{"address":"10.0.0.1/32"}]},"x":"\\\"/"})",
    R"( { "cniVersion" : "0.3.1" , "a" : { } , "b" : [ ] , "cniVersion" : "0.4.0" } )",
};

std::string mutate(std::string text, Random& random) {
  const auto below = [&random](size_t limit) { return static_cast<size_t>(random() % limit); };
  for (size_t left = 1 + below(6); left > 0 && !text.empty(); left--) {
    const size_t at = below(text.size());
    switch (below(6)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text[at] = static_cast<char>(text[at] ^ 1 << below(8));
        break;
      case 2:
        text.erase(at, 1 + below(8));
        break;
      case 3:
        text.insert(at, std::string(1 + below(4), static_cast<char>(random())));
        break;
      case 4:
        text.insert(at, text.substr(below(text.size()), 1 + below(40)));
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

struct Counts {
  unsigned long accepted = 0, refused = 0;
  void add(bool ok) { (ok ? accepted : refused)++; }
};

bool answered(const std::string& bytes, Random& random) {
  UnaryCall call("/a.B/C", std::string(random() % 4 == 0 ? 100'000 : 10, 'x'), 1000);
  try {
    // In pieces, as a socket gives them.
    for (size_t at = 0; at < bytes.size() && !call.done();) {
      const size_t piece = 1 + random() % 50;
      call.receive(std::string_view(bytes).substr(at, piece));
      call.sent(call.output().size());
      at += piece;
    }
    return call.done() && decodeOutcome(call.reply()).has_value();
  } catch (const CallError&) {
    return false;
  }
}

std::string randomBytes(Random& random, size_t most) {
  std::string out(random() % most, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

[[noreturn]] void broken(const char* what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) broken("usage: pteropus-cni-fuzz SEED ROUNDS");
  Random random(strtoull(argv[1], nullptr, 10));
  const unsigned long rounds = strtoul(argv[2], nullptr, 10);
  const std::string good = goodAnswer();
  if (!answered(good, random)) broken("a good answer is refused");
  std::string why;
  for (const char* config : kConfigs) {
    if (!readJsonObject(config, why)) broken(why.c_str());
  }
  Counts json, conf, http, fields, huffman, message;
  for (unsigned long i = 0; i < rounds; i++) {
    const std::string text = mutate(kConfigs[i % 3], random);
    json.add(readJsonObject(text, why).has_value());
    conf.add(std::holds_alternative<NetConf>(readNetConf(text)));
    if (!readJsonObject('{' + quoteJson(text) + ":1}", why)) broken("quoted text is no JSON");
    http.add(answered(mutate(good, random), random));
    fields.add(readFields(randomBytes(random, 40)).has_value());
    huffman.add(decodeHuffman(randomBytes(random, 12)).has_value());
    message.add(decodeOutcome(mutate(encodeInvocation({{"CNI_COMMAND", "ADD"}}, "text"), random)).has_value());
  }
  if (readJsonObject(std::string(1'000'000, '['), why)) broken("endless nesting is accepted");
  const auto tell = [](const char* name, const Counts& counts) {
    printf("%s: %lu accepted, %lu refused\n", name, counts.accepted, counts.refused);
  };
  tell("json", json);
  tell("configuration", conf);
  tell("http2", http);
  tell("header fields", fields);
  tell("huffman", huffman);
  tell("protobuf", message);
  return 0;
}
