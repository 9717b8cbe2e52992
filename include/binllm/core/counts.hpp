// SPDX-License-Identifier: MIT
/// Numbers of things: steps, sequences, tokens of a step. They are bounded, so that their products can be counted.
#pragma once
#include <binllm/core/options.hpp>

#include <cstdint>

namespace binllm {

/// The largest number of things that there may be: a product of two stays inside 64 bits.
inline constexpr std::int64_t most_things = 2147483647;

/// The range of an option that is a number of things.
[[nodiscard]] constexpr OptionRange count_from(double least) {
  return {.least = least, .most = static_cast<double>(most_things)};
}

/// So many things with so many parts each, say a batch's tokens. Errors: option_out_of_range where there are more than
/// `most_things` in all.
inline void check_product(std::string_view operation, std::string_view options, std::int64_t a, std::int64_t b) {
  if (a < 1 || b <= most_things / a) return;
  throw Error(ErrorId::option_out_of_range, operation, options, message("a product of {} at most", most_things),
              message("{} x {}", a, b));
}

}  // namespace binllm
