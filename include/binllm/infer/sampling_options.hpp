// SPDX-License-Identifier: MIT
/// How the next token is chosen.
#pragma once
#include <binllm/core/options.hpp>
#include <binllm/core/shape.hpp>

#include <cstdint>

namespace binllm {

/// What each number means stands in `visit`, which other options with members of the same names take over.
struct SamplingOptions {
  double temperature = 0;
  Index top_k = 0;
  double top_p = 1, repetition_penalty = 1;
  Index repetition_window = 0;
  std::uint64_t seed = 1;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("temperature", self.temperature, "of the draws; 0: always the most likely token", at_least(0));
    v("top_k", self.top_k, "draw among so many most likely tokens; 0: among all", at_least(0));
    v("top_p", self.top_p, "draw among the most likely tokens of this mass; 1: among all", between(0, 1));
    v("repetition_penalty", self.repetition_penalty, "above 1: tokens seen become less likely; 1: off", above(0));
    v("repetition_window", self.repetition_window, "tokens that the penalty looks back; 0: all, the prompt's included",
      at_least(0));
    v("seed", self.seed, "of the draws", any);
  }
  /// Errors: option_out_of_range.
  void check() const { check_options("sample", *this); }
};

}  // namespace binllm
