// SPDX-License-Identifier: MIT
/// The baseline that a language model must beat: an interpolated Kneser-Ney trigram.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <unordered_map>

namespace binllm {

/// Interpolated Kneser-Ney over token ids (Kneser and Ney, ICASSP 1995; Chen and Goodman 1999, section 2.7),
/// orders 3, 2, 1 and uniform, with h' the context h without its oldest token:
///   P(w | h) = max(c(h w) - D, 0) / c(h) + D types(h) / c(h) P(w | h')
///   P        = 1 / vocabulary                                              below order 1
///   D        = n1 / (n1 + 2 n2) per order, kept within [0.1, 0.9]
/// c counts occurrences at order 3 and distinct left neighbours below; n1 and n2 say how many n-grams were counted once
/// and twice. Nothing is tuned or random.
class Trigram {
 public:
  /// Ids are below 2^21. Errors: option_out_of_range (vocabulary), token_out_of_range.
  Trigram(std::span<const std::int32_t> train, Index vocabulary) : vocabulary_(vocabulary) {
    if (vocabulary < 1 || vocabulary > Index{1} << bits) {
      throw Error(ErrorId::option_out_of_range, "Trigram", "vocabulary", "1 to 2^21", fmt::format("{}", vocabulary));
    }
    check(train);
    for (std::size_t i = 0; i + 2 < train.size(); ++i) ++orders_[2].grams[key(train.subspan(i, 3))];
    for (const int order : {1, 0}) {
      const std::uint64_t mask = (std::uint64_t{1} << (bits * (order + 1))) - 1;
      for (const auto& [gram, count] : orders_[static_cast<std::size_t>(order) + 1].grams) {
        ++orders_[static_cast<std::size_t>(order)].grams[gram & mask];
      }
    }
    for (Order& order : orders_) order.summarise();
  }

  /// P(w | up to two tokens before it); sums to 1 over the vocabulary. Ids in range.
  [[nodiscard]] double probability(std::span<const std::int32_t> context, std::int32_t w) const {
    double p = 1.0 / static_cast<double>(vocabulary_);
    context = context.last(std::min<std::size_t>(context.size(), 2));
    for (std::size_t length = 0; length <= context.size(); ++length) {
      const std::uint64_t history = key(context.last(length));
      p = orders_[length].interpolate(history, (history << bits) | static_cast<std::uint64_t>(w), p);
    }
    return p;
  }

  /// Mean natural-log loss per token of text[1..], each given up to two tokens before it (perplexity = exp).
  /// Errors: text_too_short (less than 2 tokens), token_out_of_range.
  [[nodiscard]] double nll(std::span<const std::int32_t> text) const {
    if (text.size() < 2) {
      throw Error(ErrorId::text_too_short, "Trigram::nll", "text", "at least 2 tokens", fmt::format("{}", text.size()));
    }
    check(text);
    double sum = 0;
    for (std::size_t i = 1; i < text.size(); ++i) sum -= std::log(probability(text.first(i), text[i]));
    return sum / static_cast<double>(text.size() - 1);
  }

 private:
  static constexpr int bits = 21;

  struct Context {
    std::uint64_t total = 0, types = 0;
  };
  struct Order {
    std::unordered_map<std::uint64_t, std::uint64_t> grams;
    std::unordered_map<std::uint64_t, Context> contexts;
    double discount = 0;

    void summarise() {
      double once = 0, twice = 0;
      for (const auto& [gram, count] : grams) {
        Context& context = contexts[gram >> bits];
        context.total += count;
        ++context.types;
        once += count == 1 ? 1 : 0;
        twice += count == 2 ? 1 : 0;
      }
      discount = once == 0 ? 0.1 : std::clamp(once / (once + 2 * twice), 0.1, 0.9);
    }
    [[nodiscard]] double interpolate(std::uint64_t history, std::uint64_t gram, double lower) const {
      const auto context = contexts.find(history);
      if (context == contexts.end()) return lower;
      const auto found = grams.find(gram);
      const double count = found == grams.end() ? 0.0 : static_cast<double>(found->second);
      const double kept =
          std::max(count - discount, 0.0) + discount * static_cast<double>(context->second.types) * lower;
      return kept / static_cast<double>(context->second.total);
    }
  };

  static std::uint64_t key(std::span<const std::int32_t> ids) noexcept {
    std::uint64_t packed = 0;
    for (const std::int32_t id : ids) packed = (packed << bits) | static_cast<std::uint64_t>(id);
    return packed;
  }
  void check(std::span<const std::int32_t> ids) const {
    for (const std::int32_t id : ids) {
      if (id < 0 || id >= vocabulary_) {
        throw Error(ErrorId::token_out_of_range, "Trigram", "ids", fmt::format("ids in [0, {})", vocabulary_),
                    fmt::format("{}", id));
      }
    }
  }

  Index vocabulary_;
  std::array<Order, 3> orders_;
};

}  // namespace binllm
