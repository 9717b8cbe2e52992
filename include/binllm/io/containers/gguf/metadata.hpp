// SPDX-License-Identifier: MIT
/// What a GGUF file says of its tensors: values by name.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace binllm {

/// An array of values of one type; arrays of arrays are refused. The alternatives stand in the order of GGUF's type
/// numbers, with a hole for arrays.
using GgufArray = std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                               std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                               std::vector<float>, std::vector<bool>, std::vector<std::string>, std::monostate,
                               std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;

/// The alternatives stand in the order of GGUF's type numbers.
using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                               float, bool, std::string, GgufArray, std::uint64_t, std::int64_t, double>;

using GgufMetadata = std::map<std::string, GgufValue, std::less<>>;

/// Multiples of this many bytes are where tensors begin, unless "general.alignment" says otherwise.
inline constexpr std::uint32_t gguf_alignment = 32;

}  // namespace binllm
