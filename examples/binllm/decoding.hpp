// SPDX-License-Identifier: MIT
/// How a command draws tokens from a model: the flags of all that write text.
#pragma once
#include "shared.hpp"

#include <binllm/infer/generation.hpp>

#include <string>
#include <string_view>

namespace program {

struct DecodingFlags {
  binllm::GenerateOptions options;
  std::string head{};

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    auto& o = self.options;
    v("temperature", o.temperature, "0: always the most likely token", at_least(0));
    v("top_k", o.top_k, "draw among so many most likely tokens; 0: among all", at_least(0));
    v("top_p", o.top_p, "draw among the most likely tokens of this mass; 1: among all", between(0, 1));
    v("repetition_penalty", o.repetition_penalty, "above 1: tokens seen become less likely", above(0));
    v("repetition_window", o.repetition_window, "tokens that the penalty looks back; 0: all", at_least(0));
    v("stop", o.stop, "text at which to end, not printed; again for another", repeated());
    v("head", self.head, "precision of embedding and head: float, bf16, int8", shown_as("the model's"));
    v("sharpness", o.sharpness, "t of a binary model; inf is Sign", at_least_or_infinite(0));
  }
  void check() const { options.check(); }
  /// With the command's seed. Errors: unknown_name.
  [[nodiscard]] binllm::GenerateOptions chosen(std::uint64_t seed) const {
    binllm::GenerateOptions all = options;
    all.seed = seed;
    if (!head.empty()) all.vocabulary = binllm::vocabulary_precision_named(head);
    return all;
  }
};

}  // namespace program
