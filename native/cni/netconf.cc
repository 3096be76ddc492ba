#include "netconf.h"

#include <sys/un.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>

namespace pteropus::cni {

namespace {

// A path that a unix socket can have; null where the field is absent.
bool isSocketPath(const JsonValue& value) {
  return value.kind == JsonKind::string && !value.text.empty() && value.text[0] == '/' &&
         value.text.size() < sizeof(sockaddr_un::sun_path) && value.text.find('\0') == std::string::npos;
}

Answer invalid(const std::string& version, const char* what) {
  return failure(version, kInvalidConfig, std::string("invalid network configuration: ") + what);
}

Answer unknownVersion(const std::string& shown) {
  std::string supported;
  for (const std::string_view version : kVersions) supported += (supported.empty() ? "" : ", ") + std::string(version);
  return failure(kNewest, kIncompatibleVersion, "cniVersion " + shown + " is not supported; supported are " + supported);
}

}  // namespace

std::variant<NetConf, Answer> readNetConf(std::string_view text) {
  std::string why;
  const auto members = readJsonObject(text, why);
  if (!members) return failure(kNewest, kDecodingFailure, why);
  const auto field = [&members](const char* name) -> const JsonValue* {
    const auto found = members->find(name);
    return found == members->end() || found->second.kind == JsonKind::null ? nullptr : &found->second;
  };
  NetConf conf;
  const JsonValue* version = field("cniVersion");
  // Absent means 0.1.0, by the specification.
  if (version == nullptr) return unknownVersion("\"0.1.0\"");
  if (version->kind != JsonKind::string) return unknownVersion("of another type than text");
  if (std::find(std::begin(kVersions), std::end(kVersions), version->text) == std::end(kVersions)) {
    return unknownVersion(quoteJson(version->text));
  }
  conf.version = version->text;
  if (const JsonValue* socket = field("socket")) {
    if (!isSocketPath(*socket)) return invalid(conf.version, "socket must be an absolute path of less than 108 bytes");
    conf.socket = socket->text;
  }
  if (const JsonValue* timeout = field("timeoutMs")) {
    const double value = timeout->kind == JsonKind::number ? strtod(timeout->text.c_str(), nullptr) : 0;
    if (!(value >= 1 && value <= kLongestTimeoutMs) || value != std::floor(value)) {
      return invalid(conf.version, "timeoutMs must be a whole number of milliseconds up to an hour");
    }
    conf.timeoutMs = static_cast<int>(value);
  }
  return conf;
}

}  // namespace pteropus::cni
