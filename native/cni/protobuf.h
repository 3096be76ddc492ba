// The two messages of proto/cni.proto on the wire (protocol buffers encoding).
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "answer.h"
#include "environment.h"

namespace pteropus::cni {

std::string encodeInvocation(const Variables& environment, std::string_view stdinText);

// Unknown fields are skipped; nothing if the bytes are no message.
std::optional<Answer> decodeOutcome(std::string_view bytes);

}  // namespace pteropus::cni
