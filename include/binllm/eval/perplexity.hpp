// SPDX-License-Identifier: MIT
/// Perplexity, by the protocol of GPTQ and FBI-LLM: e to the mean over windows of their mean losses. (There each window
/// counts `context` times its mean, and the sum is divided by windows * context, which is the same.)
#pragma once
#include <binllm/data/token_stream.hpp>
#include <binllm/device/host.hpp>
#include <binllm/models/causal_lm.hpp>
#include <binllm/ranks/parallel.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

namespace binllm {

struct Perplexity {
  Index tokens = 0;  ///< of the stream
  Index windows = 0, context = 0;
  Index scored = 0;          ///< windows * (context - 1)
  double nll = 0;            ///< mean natural-log loss per scored token
  double perplexity = 0;     ///< e^nll
  std::uint64_t bytes = 0;   ///< of the scored tokens; 0 if they are unknown
  double bits_per_byte = 0;  ///< nll * scored / (ln 2 * bytes of the scored tokens); NaN if the bytes are unknown
  static constexpr std::string_view protocol =
      "text tokenised once; windows of `context` tokens without overlap, remainder dropped; first token of each window "
      "unscored; mean natural-log loss per scored token";
};

struct PerplexityOptions {
  Index context = 256;
  Index batch = 8;  ///< windows computed at a time; changes memory, and bits of the sum only
  Index max_windows = std::numeric_limits<Index>::max();       ///< the first so many
  double sharpness = std::numeric_limits<double>::infinity();  ///< t of binary models; infinity is Sign
  /// Attention reads keys and values as a decoder's cache of this precision keeps them, those of the token itself too.
  CachePrecision cache = CachePrecision::float32;
};

/// What evaluate_perplexity asks of its arguments, to be found out before a long run rather than after it.
/// Errors: text_too_short, option_out_of_range naming the option.
inline void check_perplexity(const ModelConfig& config, const TokenStream& stream, const PerplexityOptions& options) {
  const auto within = [](const char* name, Index found, Index least, Index most) {
    if (found >= least && found <= most) return;
    throw Error(ErrorId::option_out_of_range, "evaluate_perplexity", name, message("{} to {}", least, most),
                message("{}", found));
  };
  within("context", options.context, 2, config.max_position_embeddings + 1);
  within("batch", options.batch, 1, std::numeric_limits<std::int32_t>::max());
  within("max_windows", options.max_windows, 1, std::numeric_limits<Index>::max());
  if (stream.size() >= options.context) return;
  throw Error(ErrorId::text_too_short, "evaluate_perplexity", "stream", message("at least {} tokens", options.context),
              message("{}", stream.size()));
}

namespace detail {
/// The first `count` sequences are active and have seen nothing.
template <class T, class Device>
[[nodiscard]] KeyValueCache<T, Device>& begun_afresh(KeyValueCache<T, Device>& cache, Index count) {
  std::vector<Index> sequences(static_cast<std::size_t>(count));
  std::iota(sequences.begin(), sequences.end(), Index{0});
  cache.activate(sequences);
  for (const Index sequence : sequences) cache.restart(sequence);
  return cache;
}
}  // namespace detail

/// Mean loss of a model over a stream. Errors: text_too_short (less than one window), option_out_of_range (context
/// below 2, or beyond the model's positions), token_out_of_range, value_not_finite.
/// Several ranks with the same model divide the windows, and all get the result.
template <LanguageModel Model, Communicator C = Alone>
[[nodiscard]] Perplexity evaluate_perplexity(const Model& model, const TokenStream& stream,
                                             const PerplexityOptions& options = {}, C ranks = {}) {
  using T = typename Model::value_type;
  using Device = typename Model::device;
  const Index n = options.context;
  check_perplexity(model.config, stream, options);
  const Index windows = std::min(stream.size() / n, options.max_windows);
  Tape<Device> tape;
  const NoGrad<Device> pause(tape);
  StepScalars<Device> scalars;
  scalars.set(StepScalars<Device>::sharpness, options.sharpness);
  const Index begin = windows * ranks.rank() / ranks.size(), end = windows * (ranks.rank() + 1) / ranks.size();
  const Index batch = std::min(options.batch, windows);
  Tensor<std::int32_t> ids(Shape{batch, n - 1}), targets(Shape{batch, n - 1});
  Tensor<std::int32_t, Device> device_ids(ids.shape()), device_targets(ids.shape());
  std::optional<KeyValueCache<T, Device>> cache;
  if (options.cache != CachePrecision::float32) cache.emplace(model.cache(n - 1, batch, options.cache));
  double sum = 0;
  std::uint64_t bytes = 0;
  for (Index first = begin; first < end; first += batch) {
    const Index count = std::min(batch, end - first);
    for (Index row = 0; row < count; ++row) {
      const std::int32_t* window = stream.tokens().data() + (first + row) * n;
      std::copy_n(window, n - 1, ids.view().data + row * (n - 1));
      std::copy_n(window + 1, n - 1, targets.view().data + row * (n - 1));
      bytes += stream.bytes_of((first + row) * n + 1, n - 1);
    }
    if constexpr (!host_accessible<Device>) {  // on the host the ops ask
      check_token_ids("evaluate_perplexity", read(ids.view()), model.config.vocab_size);
      check_token_ids("evaluate_perplexity", read(targets.view()), model.config.vocab_size);
    }
    tape.reset();
    copy_to_device(read(ids.view()), device_ids.view());
    copy_to_device(read(targets.view()), device_targets.view());
    Pass<T, Device> pass{tape, scalars};
    if (cache) pass.cache = &detail::begun_afresh(*cache, count);
    const auto loss = model.loss(pass, read(device_ids.view().middle_rows(0, count)),
                                 read(device_targets.view().middle_rows(0, count)));
    sum += static_cast<double>(scalar_on_host(loss.value())) * static_cast<double>(count);
  }
  std::array sums{sum, static_cast<double>(bytes)};  // exact below 2^53
  sum_numbers(ranks, sums);
  sum = sums[0], bytes = static_cast<std::uint64_t>(sums[1]);
  Perplexity result;
  result.tokens = stream.size();
  result.windows = windows;
  result.context = n;
  result.scored = windows * (n - 1);
  result.nll = sum / static_cast<double>(windows);
  if (!std::isfinite(result.nll)) {
    throw Error(ErrorId::value_not_finite, "evaluate_perplexity", "loss", "a finite mean over the windows",
                message("{}", result.nll));
  }
  result.perplexity = std::exp(result.nll);
  result.bytes = bytes;
  result.bits_per_byte =
      bytes == 0 ? std::numeric_limits<double>::quiet_NaN()
                 : result.nll * static_cast<double>(result.scored) / (std::log(2.0) * static_cast<double>(bytes));
  return result;
}

}  // namespace binllm
