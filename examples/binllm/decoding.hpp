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
  std::string head{}, cache{"float"};

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    auto& o = self.options;
    binllm::SamplingOptions::visit(without("seed", v), o);
    v("stop", o.stop, "text at which to end, not printed; again for another", repeated_texts());
    v("head", self.head, "precision of embedding and head: float, bf16, int8",
      with_known(cache_precisions().one_of, shown_as("the model's")));
    v("cache", self.cache, "precision of the key-value cache: float, bf16, int8", cache_precisions());
    v("speculate", o.speculate, "tokens looked up in the text and read ahead at most, while one text runs; 0: off",
      between(0, binllm::GenerateOptions::most_proposed));
    v("sharpness", o.sharpness, "t of a binary model; inf is Sign", at_least_or_infinite(0));
  }
  void check() const { options.check(); }
  /// Errors: config_inconsistent.
  void refuse_idle(const GivenFlags& given) const {
    if (options.temperature == 0)
      given.refuse({"top_k", "top_p", "seed"}, "--temperature above 0", "0: always the most likely token");
    if (options.repetition_penalty == 1)
      given.refuse({"repetition_window"}, "--repetition-penalty beside it", "1: no penalty");
  }
  /// With the command's seed. Errors: unknown_name.
  [[nodiscard]] binllm::GenerateOptions chosen(std::uint64_t seed) const {
    binllm::GenerateOptions all = options;
    all.seed = seed;
    all.cache = binllm::vocabulary_precision_named(cache);
    if (!head.empty()) all.vocabulary = binllm::vocabulary_precision_named(head);
    return all;
  }
};

}  // namespace program
