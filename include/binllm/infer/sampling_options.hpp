// SPDX-License-Identifier: MIT
/// How the next token is chosen.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>

#include <cmath>
#include <cstdint>

namespace binllm {

struct SamplingOptions {
  double temperature = 0;         ///< 0: the most likely token
  Index top_k = 0;                ///< draw among so many most likely tokens; 0: among all
  double top_p = 1;               ///< draw among the most likely tokens that together have this mass; 1: among all
  double repetition_penalty = 1;  ///< above 1: tokens seen become less likely; 1: off
  Index repetition_window = 0;    ///< the penalty looks back so many tokens; 0: at all, the prompt's included
  std::uint64_t seed = 1;

  /// Errors: option_out_of_range.
  void check() const;
};

inline void SamplingOptions::check() const {
  const auto refuse = [](const char* option, const char* wanted, auto found) {
    throw Error(ErrorId::option_out_of_range, "sample", option, wanted, fmt::format("{}", found));
  };
  if (!(temperature >= 0) || !std::isfinite(temperature))
    refuse("temperature", "a finite number of at least 0", temperature);
  if (top_k < 0) refuse("top_k", "at least 0", top_k);
  if (!(top_p >= 0 && top_p <= 1)) refuse("top_p", "a number from 0 to 1", top_p);
  if (!(repetition_penalty > 0) || !std::isfinite(repetition_penalty))
    refuse("repetition_penalty", "a finite number above 0", repetition_penalty);
  if (repetition_window < 0) refuse("repetition_window", "at least 0", repetition_window);
}

}  // namespace binllm
