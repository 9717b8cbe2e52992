// SPDX-License-Identifier: MIT
/// Tokens and text from a model: of one prompt or of many at once, whole or while they are made.
#pragma once
#include <binllm/infer/batch.hpp>
#include <binllm/infer/texts.hpp>

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// Sequences and capacity of a decoder for these prompts.
/// Errors: option_out_of_range, empty_tensor for a prompt without a token, index_out_of_range for one beyond the
/// context.
[[nodiscard]] inline DecoderOptions decoder_options(const LlamaConfig& config,
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
  chosen.hardness = options.hardness;
  chosen.vocabulary = options.vocabulary;
  return chosen;
}

/// Continues each prompt by up to max_tokens tokens; ends one early before an end-of-text token or the beginning of
/// another text, where the decoder's capacity ends, or when the receiver wants no more. As many prompts at once as the
/// decoder has sequences; when one ends, the next begins in its place, and what is made of a prompt depends on
/// the others no more than the decoder's logits do. The decoder's sequences are begun afresh; its own options stand for
/// `sequences`, `context`, `hardness` and `vocabulary`.
/// Errors: empty_tensor for a prompt without a token, index_out_of_range for one beyond the capacity,
/// token_out_of_range, option_out_of_range, value_not_finite (logits).
template <class T, class Device, class F>
[[nodiscard]] GeneratedTokens generate_batch(Decoder<T, Device, F>& decoder,
                                             const std::vector<std::vector<std::int32_t>>& prompts,
                                             const GenerateOptions& options = {}, TokenReceiver* receiver = nullptr) {
  options.check();
  detail::check_prompts(prompts, decoder.capacity(), decoder.config().vocab_size);
  detail::NoReceiver nobody;
  return detail::BatchRun<T, Device, F>(decoder, options, receiver == nullptr ? nobody : *receiver)(prompts);
}

/// The same with a decoder of its own, of the size that prompts and options ask for.
template <class T, class Device, class F>
[[nodiscard]] GeneratedTokens generate_batch(Llama<T, Device, F>& model,
                                             const std::vector<std::vector<std::int32_t>>& prompts,
                                             const GenerateOptions& options = {}, TokenReceiver* receiver = nullptr) {
  Decoder<T, Device, F> decoder(model, decoder_options(model.config, prompts, options));
  return generate_batch(decoder, prompts, options, receiver);
}

/// The same of a model or decoder, with a function (sequence, token) -> bool that hears of each token as it is made;
/// false ends that sequence.
template <class Source, std::predicate<Index, std::int32_t> OnToken>
[[nodiscard]] GeneratedTokens generate_batch(Source& source, const std::vector<std::vector<std::int32_t>>& prompts,
                                             const GenerateOptions& options, OnToken on_token) {
  detail::TokenFunction<OnToken> receiver(on_token);
  return generate_batch(source, prompts, options, static_cast<TokenReceiver*>(&receiver));
}

/// One prompt and its continuation. Errors: as above.
template <class T, class Device, class F>
[[nodiscard]] std::vector<std::int32_t> generate_tokens(Llama<T, Device, F>& model, std::vector<std::int32_t> ids,
                                                        const GenerateOptions& options = {}) {
  return std::move(generate_batch(model, {std::move(ids)}, options).sequences.front().tokens);
}

/// Texts that continue the prompts of a model or decoder, ended before options.stop also where such a string comes in
/// parts. Prompts are ids, as of encode_prompt. Errors: as above, option_out_of_range for an empty stop string.
template <class Source>
[[nodiscard]] GeneratedTexts generate_texts(Source& source, const Tokenizer& tokenizer,
                                            const std::vector<std::vector<std::int32_t>>& prompts,
                                            const GenerateOptions& options = {}, TextReceiver* receiver = nullptr) {
  detail::TextWriter writer(tokenizer, prompts, options.stop, receiver);
  const GeneratedTokens made = generate_batch(source, prompts, options, static_cast<TokenReceiver*>(&writer));
  return writer.texts(made.statistics);
}

/// The same with a function (sequence, piece of text) -> bool that hears of continuations as they are made.
template <class Source, std::predicate<Index, std::string_view> OnText>
[[nodiscard]] GeneratedTexts generate_texts(Source& source, const Tokenizer& tokenizer,
                                            const std::vector<std::vector<std::int32_t>>& prompts,
                                            const GenerateOptions& options, OnText on_text) {
  detail::TextFunction<OnText> receiver(on_text);
  return generate_texts(source, tokenizer, prompts, options, static_cast<TextReceiver*>(&receiver));
}

/// The prompt and its continuation as text. Where the tokenizer opens streams with BOS, so does the prompt.
template <class T, class Device, class F>
[[nodiscard]] std::string generate(Llama<T, Device, F>& model, const Tokenizer& tokenizer, std::string_view prompt,
                                   const GenerateOptions& options = {}) {
  return generate_texts(model, tokenizer, {encode_prompt(tokenizer, prompt)}, options).texts.front().text();
}

}  // namespace binllm
