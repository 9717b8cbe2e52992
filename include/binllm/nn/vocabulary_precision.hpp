// SPDX-License-Identifier: MIT
/// How many bits a vocabulary's weights have where a model is only read.
#pragma once
#include <binllm/core/error.hpp>

#include <array>
#include <cstdint>
#include <string_view>

namespace binllm {

enum class VocabularyPrecision : std::uint8_t {
  float32,   ///< the model's own weights
  bfloat16,  ///< the upper half of a float, rounded to nearest even; activations and sums stay float
  int8,      ///< one scale a token; activations in 8 bits too, sums exact
};
inline constexpr std::array vocabulary_precisions{VocabularyPrecision::float32, VocabularyPrecision::bfloat16,
                                                  VocabularyPrecision::int8};

[[nodiscard]] constexpr std::string_view name_of(VocabularyPrecision precision) noexcept {
  constexpr std::array<std::string_view, vocabulary_precisions.size()> names{"float", "bf16", "int8"};
  return names[static_cast<std::size_t>(precision)];
}

/// The precision of that name. Errors: unknown_name, listing the known ones.
[[nodiscard]] inline VocabularyPrecision vocabulary_precision_named(std::string_view name) {
  for (const VocabularyPrecision precision : vocabulary_precisions) {
    if (name_of(precision) == name) return precision;
  }
  throw Error(ErrorId::unknown_name, "vocabulary_precision_named", "name", "float, bf16 or int8", name);
}

}  // namespace binllm
