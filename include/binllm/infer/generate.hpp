// SPDX-License-Identifier: MIT
/// How tokens and text are made: the definitions of what infer/generation.hpp declares, and generation with a decoder.
#pragma once
#include <binllm/infer/any_decoder.hpp>
#include <binllm/infer/batch.hpp>
#include <binllm/infer/generation.hpp>
#include <binllm/infer/texts.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

namespace detail {

class NoReceiver final : public TokenReceiver {
 public:
  [[nodiscard]] bool on_token(Index, std::int32_t) override { return true; }
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

/// Sequences and capacity of a decoder for these prompts. Errors: option_out_of_range, empty_tensor for a prompt
/// without a token, index_out_of_range for one beyond the context.
[[nodiscard]] inline DecoderOptions decoder_options(const ModelConfig& config,
                                                    const std::vector<std::vector<std::int32_t>>& prompts,
                                                    const GenerateOptions& options) {
  options.check();
  const Index positions = config.max_position_embeddings;
  if (options.context > positions)
    throw Error(ErrorId::option_out_of_range, "generate", "context",
                fmt::format("the model's {} positions at most", positions), fmt::format("{}", options.context));
  const Index limit = options.context > 0 ? options.context : positions;
  detail::check_prompts(prompts, limit, config.vocab_size);
  Index longest = 1;
  for (const auto& prompt : prompts)
    longest = std::max(longest, std::ssize(prompt) + std::min(options.max_tokens, limit - std::ssize(prompt)));
  DecoderOptions chosen;
  chosen.sequences = std::clamp<Index>(std::ssize(prompts), 1, options.sequences);
  chosen.capacity = options.context > 0 ? limit : longest;
  chosen.sharpness = options.sharpness;
  chosen.vocabulary = options.vocabulary;
  chosen.cache = options.cache;
  return chosen;
}

/// The same with a decoder, whose sequences all begin again; its own options stand for `sequences`, `context`,
/// `sharpness`, `vocabulary` and `cache`. What a prompt shares with one that the decoder has read is not read again.
/// Errors: as of a model.
template <LanguageModel Model>
[[nodiscard]] GeneratedTokens generate_batch(Decoder<Model>& decoder,
                                             const std::vector<std::vector<std::int32_t>>& prompts,
                                             const GenerateOptions& options = {}, TokenReceiver* receiver = nullptr) {
  options.check();
  detail::check_prompts(prompts, decoder.capacity(), decoder.config().vocab_size);
  detail::NoReceiver nobody;
  return detail::BatchRun<Model>(decoder, options, receiver == nullptr ? nobody : *receiver)(prompts);
}

/// Continues one text, of whose tokens the first sequence of the decoder has read the first ones: only the others are
/// read now. Its `length` afterwards is that of the result, or one less: the last token that was made need not be read.
/// Errors: as above; option_out_of_range for a decoder that has read as many tokens as the text has, or more.
template <LanguageModel Model>
[[nodiscard]] GeneratedTokens generate_after(Decoder<Model>& decoder, std::vector<std::int32_t> ids,
                                             const GenerateOptions& options = {}, TokenReceiver* receiver = nullptr) {
  options.check();
  const Index read = decoder.length(0);
  const std::vector<std::vector<std::int32_t>> prompts{std::move(ids)};
  detail::check_prompts(prompts, decoder.capacity(), decoder.config().vocab_size);
  if (read >= std::ssize(prompts.front()))
    throw Error(ErrorId::option_out_of_range, "generate", "ids", fmt::format("more than the {} that were read", read),
                fmt::format("{}", prompts.front().size()));
  detail::NoReceiver nobody;
  return detail::BatchRun<Model>(decoder, options, receiver == nullptr ? nobody : *receiver, read, 1)(prompts);
}

template <LanguageModel Model>
[[nodiscard]] GeneratedTexts generate_texts(Decoder<Model>& decoder, const Tokenizer& tokenizer,
                                            const std::vector<std::vector<std::int32_t>>& prompts,
                                            const GenerateOptions& options = {}, TextReceiver* receiver = nullptr) {
  detail::TextWriter writer(tokenizer, prompts, options.stop, receiver);
  const GeneratedTokens made =
      generate_batch(decoder, prompts, detail::with_tokenizer(options, tokenizer, decoder.config()),
                     static_cast<TokenReceiver*>(&writer));
  return writer.texts(made.statistics);
}

/// With a decoder of its own, of the size that prompts and options ask for.
template <LanguageModel Model>
GeneratedTokens generate_batch(const Model& model, const std::vector<std::vector<std::int32_t>>& prompts,
                               const GenerateOptions& options, TokenReceiver* receiver) {
  Decoder<Model> decoder(model, decoder_options(model.config, prompts, options));
  return generate_batch(decoder, prompts, options, receiver);
}

template <LanguageModel Model>
std::vector<std::int32_t> generate_tokens(const Model& model, std::vector<std::int32_t> ids,
                                          const GenerateOptions& options) {
  return std::move(generate_batch(model, {std::move(ids)}, options).sequences.front().tokens);
}

template <LanguageModel Model>
GeneratedTexts generate_texts(const Model& model, const Tokenizer& tokenizer,
                              const std::vector<std::vector<std::int32_t>>& prompts, const GenerateOptions& options,
                              TextReceiver* receiver) {
  Decoder<Model> decoder(model, decoder_options(model.config, prompts, options));
  return generate_texts(decoder, tokenizer, prompts, options, receiver);
}

template <LanguageModel Model>
std::string generate(const Model& model, const Tokenizer& tokenizer, std::string_view prompt,
                     const GenerateOptions& options) {
  return generate_texts(model, tokenizer, {encode_prompt(tokenizer, prompt)}, options).texts.front().text();
}

/// A decoder behind the interface that hides its model's type.
template <LanguageModel Model>
class ErasedDecoder final : public AnyDecoder {
 public:
  explicit ErasedDecoder(Model&& model, const DecoderOptions& options = {}) : decoder_(std::move(model), options) {}
  /// The model must outlive the decoder.
  explicit ErasedDecoder(const Model& model, const DecoderOptions& options = {}) : decoder_(model, options) {}

  [[nodiscard]] const ModelConfig& config() const override { return decoder_.config(); }
  [[nodiscard]] Index capacity() const override { return decoder_.capacity(); }
  [[nodiscard]] Index length() const override { return decoder_.length(0); }
  void keep(Index tokens) override { decoder_.keep(0, tokens); }
  [[nodiscard]] GeneratedTokens generate(std::vector<std::int32_t> ids, const GenerateOptions& options,
                                         TokenReceiver* receiver) override {
    return generate_after(decoder_, std::move(ids), options, receiver);
  }

 private:
  Decoder<Model> decoder_;
};

}  // namespace binllm
