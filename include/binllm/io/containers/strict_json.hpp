// SPDX-License-Identifier: MIT
/// Parsing of JSON from files that may be damaged. For the sources of binllm::io only: it names nlohmann's type.
#pragma once
#include <binllm/core/error.hpp>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace binllm::detail {

/// Where a JSON text came from and what an error about it says.
struct JsonOrigin {
  ErrorId id;             ///< header_invalid, config_invalid, ...
  std::string operation;  ///< the function that reads
  std::string argument;   ///< the file
};

/// Parses one JSON object of at most `max_depth` nested objects and arrays; duplicate keys are refused (parsers
/// disagree about which one counts). Errors: origin.id.
[[nodiscard]] nlohmann::json parse_json_object(std::string_view text, int max_depth, const JsonOrigin& origin);

}  // namespace binllm::detail
