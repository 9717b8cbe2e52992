// SPDX-License-Identifier: MIT
/// What is asked of generation, what it returns, and who is told meanwhile.
#pragma once
#include <binllm/infer/sampling.hpp>
#include <binllm/infer/text_stream.hpp>
#include <binllm/nn/vocabulary_precision.hpp>

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace binllm {

struct GenerateOptions {
  Index max_tokens = 64;
  double temperature = 0;         ///< 0: the most likely token
  Index top_k = 0;                ///< 0: off
  double top_p = 1;               ///< 1: off
  double repetition_penalty = 1;  ///< 1: off
  Index repetition_window = 0;    ///< tokens that the penalty looks back; 0: all
  std::uint64_t seed = 1;
  double hardness = std::numeric_limits<double>::infinity();  ///< t of binary models
  /// Prompt i draws from stream first_sequence + i of the seed: alone, with its number here, it gives what it gives
  /// among others.
  Index first_sequence = 0;
  Index sequences = 8;              ///< decoded at once at most; further prompts wait
  Index context = 0;                ///< tokens that a sequence may have; 0: what prompt and max_tokens need
  std::vector<std::string> stop{};  ///< strings at which a text ends; they are not part of it
  std::optional<VocabularyPrecision> vocabulary{};  ///< of embedding and head while decoding; empty: the format's

  [[nodiscard]] SamplingOptions sampling() const {
    return {temperature, top_k, top_p, repetition_penalty, repetition_window, seed};
  }
  /// Errors: option_out_of_range.
  void check() const;
};

/// Why a sequence ended.
enum class FinishReason {
  max_tokens,     ///< it has as many tokens as were asked for
  end_token,      ///< the model ended the text, or began another
  last_position,  ///< the context is full
  stopped,        ///< at a stop string, or because the receiver wanted no more
};
/// "max_tokens", "end_token", "last_position", "stopped".
[[nodiscard]] constexpr const char* to_string(FinishReason reason) {
  return reason == FinishReason::max_tokens      ? "max_tokens"
         : reason == FinishReason::end_token     ? "end_token"
         : reason == FinishReason::last_position ? "last_position"
                                                 : "stopped";
}

/// Tokens and the time that they took, sampling included, receivers of tokens excluded.
struct GenerationStatistics {
  Index prompt_tokens = 0;     ///< read
  Index generated_tokens = 0;  ///< made: the first of each sequence by reading its prompt, the others by steps
  Index steps = 0;             ///< each makes a token for every running sequence
  Index step_tokens = 0;       ///< chosen in steps, end tokens included
  double prefill_seconds = 0, decode_seconds = 0;

  [[nodiscard]] double prefill_tokens_per_second() const { return rate(prompt_tokens, prefill_seconds); }
  [[nodiscard]] double decode_tokens_per_second() const { return rate(step_tokens, decode_seconds); }

 private:
  [[nodiscard]] static double rate(Index tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
  }
};

struct GeneratedSequence {
  std::vector<std::int32_t> tokens;  ///< the prompt's and those that were made
  FinishReason finish = FinishReason::max_tokens;
};
struct GeneratedTokens {
  std::vector<GeneratedSequence> sequences;  ///< one for each prompt, in their order
  GenerationStatistics statistics;
};

/// Is told of tokens while they are made. Sequences are numbered as their prompts.
class TokenReceiver {
 public:
  virtual ~TokenReceiver() = default;
  /// False: no more of this sequence.
  [[nodiscard]] virtual bool on_token(Index sequence, std::int32_t token) = 0;
  /// The prompt gets its place; tokens follow. False: leave it as it is.
  [[nodiscard]] virtual bool on_begin(Index /*sequence*/) { return true; }
  virtual void on_end(Index /*sequence*/, FinishReason) {}
};

inline void GenerateOptions::check() const {
  const auto refuse = [](const char* option, const char* wanted, Index found) {
    throw Error(ErrorId::option_out_of_range, "generate", option, wanted, fmt::format("{}", found));
  };
  sampling().check();
  StopStrings::check(stop);
  if (max_tokens < 0) refuse("max_tokens", "at least 0", max_tokens);
  if (first_sequence < 0) refuse("first_sequence", "at least 0", first_sequence);
  if (sequences < 1) refuse("sequences", "at least 1", sequences);
  if (context < 0) refuse("context", "at least 0", context);
}

namespace detail {

class NoReceiver final : public TokenReceiver {
 public:
  [[nodiscard]] bool on_token(Index, std::int32_t) override { return true; }
};

template <class OnToken>
class TokenFunction final : public TokenReceiver {
 public:
  explicit TokenFunction(OnToken& function) : function_(function) {}
  [[nodiscard]] bool on_token(Index sequence, std::int32_t token) override { return function_(sequence, token); }

 private:
  OnToken& function_;
};

/// Errors: empty_tensor, index_out_of_range, token_out_of_range.
inline void check_prompts(const std::vector<std::vector<std::int32_t>>& prompts, Index limit, Index vocab_size) {
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::string name = fmt::format("prompts[{}]", i);
    const Index size = std::ssize(prompts[i]);
    if (size == 0) throw Error(ErrorId::empty_tensor, "generate", name, "a token or more", "none");
    if (size > limit)
      throw Error(ErrorId::index_out_of_range, "generate", name, fmt::format("at most {} tokens", limit),
                  fmt::format("{}", size));
    check_token_ids("generate", View<const std::int32_t>(prompts[i].data(), {size}), vocab_size);
  }
}

}  // namespace detail
}  // namespace binllm
