// SPDX-License-Identifier: MIT
/// Tokens and text from a model: what is asked, what comes back, who is told meanwhile, and the functions, which
/// infer/generate.hpp defines.
#pragma once
#include <binllm/infer/sampling_options.hpp>
#include <binllm/models/causal_lm.hpp>
#include <binllm/nn/cached_rows.hpp>
#include <binllm/nn/vocabulary_precision.hpp>
#include <binllm/ops/attention.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

struct GenerateOptions {
  Index max_tokens = 64;
  double temperature = 0;  ///< this and what follows up to the seed: as in SamplingOptions
  Index top_k = 0;
  double top_p = 1, repetition_penalty = 1;
  Index repetition_window = 0;
  std::uint64_t seed = 1;
  double sharpness = std::numeric_limits<double>::infinity();  ///< t of binary models
  /// Prompt i draws from stream first_sequence + i of the seed: alone, with its number here, it gives what it gives
  /// among others.
  Index first_sequence = 0;
  Index sequences = 8;                     ///< decoded at once at most; further prompts wait
  Index context = 0;                       ///< tokens that a sequence may have; 0: what prompt and max_tokens need
  std::vector<std::string> stop{};         ///< strings at which a text ends; they are not part of it
  std::vector<std::int32_t> end_tokens{};  ///< end a text, beside those that the model's configuration names
  Index choosable = 0;                     ///< only tokens with lower ids are chosen; 0: all
  std::vector<std::int32_t> never{};       ///< tokens that are not chosen either
  std::optional<VocabularyPrecision> vocabulary{};  ///< of embedding and head while decoding; empty: the format's
  CachePrecision cache = CachePrecision::float32;   ///< of keys and values while decoding
  /// Tokens that are proposed at most while one sequence runs, and read with its last one in one step: those that once
  /// followed what the text now ends with. What is chosen does not depend on it, as far as logits do not on what is
  /// read beside a token.
  Index speculate = 0;

  [[nodiscard]] SamplingOptions sampling() const {
    return {temperature, top_k, top_p, repetition_penalty, repetition_window, seed};
  }
  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("max_tokens", self.max_tokens, "tokens to add at most to each prompt", at_least(0));
    SamplingOptions::visit(v, self);
    v("sequences", self.sequences, "prompts continued at the same time at most", at_least(1));
    v("context", self.context, "tokens that a text may have; 0: as many as are needed", at_least(0));
    v("sharpness", self.sharpness, "t of a binary model; inf is Sign", at_least_or_infinite(0));
    v("speculate", self.speculate, "tokens looked up in the text and read ahead at most, while one text runs; 0: off",
      between(0, most_proposed));
  }
  static constexpr Index most_proposed = Attention::few_queries - 1;
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
  Index steps = 0;             ///< each makes a token or more for every running sequence
  Index step_tokens = 0;       ///< chosen in steps, end tokens included
  Index shared_tokens = 0;     ///< of prompts, not read since the decoder had read them in another text
  Index proposed_tokens = 0;   ///< looked up and read ahead
  Index accepted_tokens = 0;   ///< of those, what was then chosen
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

struct GeneratedText {
  std::string prompt;             ///< as its tokens read
  std::string continuation;       ///< ends before a stop string
  Index prompt_tokens = 0;        ///< BOS included, where the tokenizer has one
  Index continuation_tokens = 0;  ///< made; those of a stop string included
  FinishReason finish = FinishReason::max_tokens;

  [[nodiscard]] std::string text() const { return prompt + continuation; }
};
struct GeneratedTexts {
  std::vector<GeneratedText> texts;  ///< one for each prompt, in their order
  GenerationStatistics statistics;
};

/// Is told of texts while they are made, in whole characters. Sequences are numbered as their prompts.
class TextReceiver {
 public:
  virtual ~TextReceiver() = default;
  /// What a token adds to the continuation: nothing where it completes no character, or may begin a stop string. False:
  /// no more of this sequence.
  [[nodiscard]] virtual bool on_text(Index sequence, std::string_view piece) = 0;
  /// The prompt gets its place; its continuation follows. False: leave it as it is.
  [[nodiscard]] virtual bool on_begin(Index /*sequence*/, std::string_view /*prompt*/) { return true; }
  virtual void on_end(Index /*sequence*/, FinishReason) {}
};

inline void GenerateOptions::check() const {
  const auto refuse = [](const char* option, const char* wanted, Index found) {
    throw Error(ErrorId::option_out_of_range, "generate", option, wanted, message("{}", found));
  };
  check_options("generate", *this);
  for (const std::string& string : stop)
    if (string.empty())
      throw Error(ErrorId::option_out_of_range, "generate", "stop", "strings of a byte or more", "''");
  if (first_sequence < 0) refuse("first_sequence", "at least 0", first_sequence);
  if (choosable < 0) refuse("choosable", "at least 0", choosable);
  for (const std::int32_t id : never)
    if (id < 0) refuse("never", "tokens of at least 0", id);
}

namespace detail {

template <class OnToken>
class TokenFunction final : public TokenReceiver {
 public:
  explicit TokenFunction(OnToken& function) : function_(function) {}
  [[nodiscard]] bool on_token(Index sequence, std::int32_t token) override { return function_(sequence, token); }

 private:
  OnToken& function_;
};

template <class OnText>
class TextFunction final : public TextReceiver {
 public:
  explicit TextFunction(OnText& function) : function_(function) {}
  [[nodiscard]] bool on_text(Index sequence, std::string_view piece) override { return function_(sequence, piece); }

 private:
  OnText& function_;
};

}  // namespace detail

/// Continues each prompt by up to max_tokens tokens; ends one early before an end-of-text token or the beginning of
/// another text, where the decoder's capacity ends, or when the receiver wants no more. As many prompts at once as the
/// decoder has sequences; when one ends, the next begins in its place, and what is made of a prompt depends on
/// the others no more than the decoder's logits do. Errors: empty_tensor for a prompt without a token,
/// index_out_of_range for one beyond the capacity, token_out_of_range, option_out_of_range, value_not_finite (logits).
template <LanguageModel Model>
[[nodiscard]] GeneratedTokens generate_batch(const Model& model, const std::vector<std::vector<std::int32_t>>& prompts,
                                             const GenerateOptions& options = {}, TokenReceiver* receiver = nullptr);

/// The same of a model or decoder, with a function (sequence, token) -> bool that hears of each token as it is made;
/// false ends that sequence.
template <class Source, std::predicate<Index, std::int32_t> OnToken>
[[nodiscard]] GeneratedTokens generate_batch(Source& source, const std::vector<std::vector<std::int32_t>>& prompts,
                                             const GenerateOptions& options, OnToken on_token) {
  detail::TokenFunction<OnToken> receiver(on_token);
  return generate_batch(source, prompts, options, static_cast<TokenReceiver*>(&receiver));
}

/// One prompt and its continuation. Errors: as above.
template <LanguageModel Model>
[[nodiscard]] std::vector<std::int32_t> generate_tokens(const Model& model, std::vector<std::int32_t> ids,
                                                        const GenerateOptions& options = {});

/// Texts that continue the prompts, ended before options.stop also where such a string comes in parts. Prompts are ids,
/// as of encode_prompt. Ids for which the tokenizer has no piece, as padded vocabularies have them, are never chosen;
/// where the model's configuration names no end token, the tokenizer's ends a text. Errors: as above, option_out_of_range for an empty stop string.
template <LanguageModel Model>
[[nodiscard]] GeneratedTexts generate_texts(const Model& model, const Tokenizer& tokenizer,
                                            const std::vector<std::vector<std::int32_t>>& prompts,
                                            const GenerateOptions& options = {}, TextReceiver* receiver = nullptr);

/// The same of a model or decoder, with a function (sequence, piece of text) -> bool that hears of continuations as they are made.
template <class Source, std::predicate<Index, std::string_view> OnText>
[[nodiscard]] GeneratedTexts generate_texts(Source& source, const Tokenizer& tokenizer,
                                            const std::vector<std::vector<std::int32_t>>& prompts,
                                            const GenerateOptions& options, OnText on_text) {
  detail::TextFunction<OnText> receiver(on_text);
  return generate_texts(source, tokenizer, prompts, options, static_cast<TextReceiver*>(&receiver));
}

/// The prompt and its continuation as text. Where the tokenizer opens streams with BOS, so does the prompt.
template <LanguageModel Model>
[[nodiscard]] std::string generate(const Model& model, const Tokenizer& tokenizer, std::string_view prompt,
                                   const GenerateOptions& options = {});

}  // namespace binllm
