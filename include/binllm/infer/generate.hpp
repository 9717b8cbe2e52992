// SPDX-License-Identifier: MIT
/// Text from a model, token by token, with a key-value cache.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

struct GenerateOptions {
  Index max_tokens = 64;
  double temperature = 0;  ///< 0: the most likely token
  std::uint64_t seed = 1;
  double hardness = std::numeric_limits<double>::infinity();  ///< t of binary models
};

/// The index of the largest logit, the first of equals; or a draw from softmax(logits / temperature).
/// A pure function of (logits, temperature, seed, position).
template <class T>
[[nodiscard]] std::int32_t sample_token(View<const T> logits, double temperature, std::uint64_t seed, Index position) {
  Index best = 0;
  logits.flat().maxCoeff(&best);
  if (temperature <= 0) return static_cast<std::int32_t>(best);
  const double most = static_cast<double>(logits.data[best]);
  const auto weight = [&](Index i) { return std::exp((static_cast<double>(logits.data[i]) - most) / temperature); };
  double total = 0;
  for (Index i = 0; i < logits.size(); ++i) total += weight(i);
  double left = total * Random(seed, Purpose::sample).uniform(static_cast<std::uint64_t>(position));
  for (Index i = 0; i < logits.size(); ++i) {
    left -= weight(i);
    if (left < 0) return static_cast<std::int32_t>(i);
  }
  return static_cast<std::int32_t>(best);
}

/// Continues `ids` by up to max_tokens tokens; ends early before an end-of-text token or the beginning of another, or
/// where the model's positions end. Errors: empty_tensor without a first token, index_out_of_range for a prompt beyond
/// the model's positions, option_out_of_range.
template <class T, class Device, class F>
[[nodiscard]] std::vector<std::int32_t> generate_tokens(Llama<T, Device, F>& model, std::vector<std::int32_t> ids,
                                                        const GenerateOptions& options = {}) {
  if (options.max_tokens < 0 || !(options.temperature >= 0)) {
    throw Error(ErrorId::option_out_of_range, "generate", "max_tokens, temperature", "at least 0",
                fmt::format("{}, {}", options.max_tokens, options.temperature));
  }
  check_not_empty("generate", "prompt", Shape{static_cast<Index>(ids.size())});
  const Index limit = model.config.max_position_embeddings, prompt = static_cast<Index>(ids.size());
  if (prompt > limit)
    throw Error(ErrorId::index_out_of_range, "generate", "prompt", fmt::format("at most {} tokens", limit),
                fmt::format("{}", prompt));
  auto cache = model.cache(prompt + std::min(options.max_tokens, limit - prompt));
  Tape<Device> tape;
  const NoGrad<Device> pause(tape);
  StepScalars<Device> scalars;
  scalars.set(StepScalars<Device>::hardness, options.hardness);
  Tensor<std::int32_t, Device> device_ids(Shape{1, cache.capacity()});
  for (Index fed = 0, made = 0; made < options.max_tokens && fed < cache.capacity(); ++made) {
    const auto size = static_cast<Index>(ids.size());
    tape.reset();
    const View<std::int32_t, Device> fresh(device_ids.view().data, Shape{1, size - fed});
    copy_to_device(View<const std::int32_t>(ids.data() + fed, fresh.shape), fresh);
    Pass<T, Device> pass{tape, scalars, &cache};
    const auto h = model(pass, read(fresh));
    const auto last = tape.borrow(h.value().middle_rows(h.value().rows() - 1, 1));
    const OnHost<T, Device> logits(read(linear(last, model.head(pass)).value()));
    const std::int32_t token = sample_token(logits.view(), options.temperature, options.seed, size);
    if (model.config.eos_token_id == token || model.config.bos_token_id == token) break;
    ids.push_back(token);
    fed = size;
  }
  return ids;
}

/// The prompt and its continuation as text. Where the tokenizer opens streams with BOS, so does the prompt.
template <class T, class Device, class F>
[[nodiscard]] std::string generate(Llama<T, Device, F>& model, const Tokenizer& tokenizer, std::string_view prompt,
                                   const GenerateOptions& options = {}) {
  std::vector<std::int32_t> ids;
  if (const auto bos = tokenizer.bos()) ids.push_back(*bos);
  const std::vector<std::int32_t> text = tokenizer.encode(prompt);
  ids.insert(ids.end(), text.begin(), text.end());
  return tokenizer.decode(generate_tokens(model, std::move(ids), options));
}

}  // namespace binllm
