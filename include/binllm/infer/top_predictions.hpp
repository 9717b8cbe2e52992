// SPDX-License-Identifier: MIT
/// The largest predictions of a model for every token of a corpus, window by window: what a student can learn from later.
#pragma once
#include <binllm/data/batches.hpp>
#include <binllm/device/host.hpp>
#include <binllm/models/causal_lm.hpp>
#include <binllm/ops/top_distillation.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

namespace binllm {

struct TopPredictionOptions {
  Index top = 64;          ///< words that are kept of each token
  Index context = 256;     ///< tokens in a window: that of the training that will use them
  Index batch = 8;         ///< windows computed at a time
  double temperature = 1;  ///< of softmax(logits / temperature)
  double sharpness = std::numeric_limits<double>::infinity();  ///< t of binary models

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("top", self.top, "most likely words that are kept of each token", count_from(1));
    v("context", self.context, "tokens in a sequence: that of the training", count_from(1));
    v("batch", self.batch, "sequences computed at a time", count_from(1));
    v("temperature", self.temperature, "softens the predictions: that of the training", above(0));
    v("sharpness", self.sharpness, "t of a binary model; inf is Sign", at_least_or_infinite(0));
  }
};

/// Is given the predictions for some tokens, in the order of the corpus.
class TopPredictionReceiver {
 public:
  virtual ~TopPredictionReceiver() = default;
  virtual void receive(const TopPredictions<Cpu>& predictions) = 0;
};

namespace detail {

/// The k largest of a row of logits, softened by T, in the order of the words (of equal ones the first), as
/// log-probabilities; and the log of what the others have: NaN where the logits are not fit to choose from.
inline void largest(std::span<const float> logits, double temperature, std::vector<std::int32_t>& order,
                    std::span<std::int32_t> words, std::span<float> log_probabilities, float& rest) {
  const auto count = static_cast<std::ptrdiff_t>(words.size());
  order.resize(logits.size());
  std::iota(order.begin(), order.end(), 0);
  rest = std::numeric_limits<float>::quiet_NaN();
  if (std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); })) return;
  const auto at = [&](std::int32_t word) { return logits[static_cast<std::size_t>(word)]; };
  const auto likelier = [&](std::int32_t a, std::int32_t b) { return at(a) > at(b) || (at(a) == at(b) && a < b); };
  if (words.size() < order.size()) std::nth_element(order.begin(), order.begin() + count, order.end(), likelier);
  const double most = static_cast<double>(at(*std::min_element(order.begin(), order.begin() + count, likelier)));
  double kept = 0, others = 0;
  const auto mass = [&](std::int32_t word) { return std::exp((static_cast<double>(at(word)) - most) / temperature); };
  for (auto word = order.begin(); word != order.end(); ++word)
    (word < order.begin() + count ? kept : others) += mass(*word);
  if (!std::isfinite(most)) return;
  std::sort(order.begin(), order.begin() + count);
  const double log_sum = std::log(kept + others);
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = order[i];
    log_probabilities[i] = static_cast<float>((static_cast<double>(at(order[i])) - most) / temperature - log_sum);
  }
  rest = static_cast<float>(std::log(others) - log_sum);
}

}  // namespace detail

/// What predict_top asks of its arguments, to be found out before the work. Errors: option_out_of_range, text_too_short.
inline void check_predict_top(const ModelConfig& config, const TokenStream& corpus,
                              const TopPredictionOptions& options) {
  check_options("predict_top", options);
  if (options.context > config.max_position_embeddings) {
    throw Error(ErrorId::option_out_of_range, "predict_top", "context",
                message("the model's {} positions at most", config.max_position_embeddings),
                message("{}", options.context));
  }
  static_cast<void>(Batches(corpus, 1, options.context, 0));
}

/// Hands over what the model predicts behind each token of the windows that `Batches` cuts: `options.top` words of every
/// token, or all words where there are fewer. Memory: one chunk of logits, on the device and on the host.
/// Errors: option_out_of_range (also a context beyond the model's positions), text_too_short, token_out_of_range,
/// value_not_finite.
template <LanguageModel Model>
void predict_top(const Model& model, const TokenStream& corpus, const TopPredictionOptions& options,
                 TopPredictionReceiver& receiver) {
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using Logit = typename Model::Master;
  using B = Backend<Device>;
  check_predict_top(model.config, corpus, options);
  const Index context = options.context, vocabulary = model.config.vocab_size, k = std::min(options.top, vocabulary);
  const Index windows = Batches(corpus, 1, context, 0).windows();
  const Index batch = std::min(options.batch, windows);
  const Index chunk = LogitChunk::rows<Device>(batch * context, vocabulary, sizeof(Logit));
  Tape<Device> tape;
  const NoGrad<Device> pause(tape);
  StepScalars<Device> scalars;
  scalars.set(StepScalars<Device>::sharpness, options.sharpness);
  Tensor<Logit, Device> logits(Shape{chunk, vocabulary});
  Tensor<std::int32_t> words(Shape{chunk, k});
  Tensor<float> log_probabilities(Shape{chunk, k}), rest(Shape{chunk});
  for (Index first = 0; first < windows; first += batch) {
    const Index count = std::min(batch, windows - first);
    const View<const std::int32_t> given(corpus.tokens().data() + first * context, Shape{count, context});
    check_token_ids("predict_top", given, vocabulary);
    Tensor<std::int32_t, Device> ids(given.shape);
    copy_to_device(given, ids.view());
    tape.reset();
    Pass<T, Device> pass{tape, scalars};
    const auto h = model.hidden(pass, read(ids.view()));
    const InComputeType<T, Device> weight(tape, read(model.head(pass).value()));
    for (Index row = 0; row < count * context; row += chunk) {
      const Index rows = std::min(chunk, count * context - row);
      const auto part = logits.view().middle_rows(0, rows);
      B::gemm(Product::nt, read(h.value()).middle_rows(row, rows), weight.view(), part);
      const OnHost on_host(read(part));
      const auto whole = on_host.view();
      parallel_for(rows, [&](Index n) {
        thread_local std::vector<std::int32_t> order;
        thread_local std::vector<float> numbers;
        numbers.assign(whole.data + n * vocabulary, whole.data + (n + 1) * vocabulary);
        detail::largest(numbers, options.temperature, order, {words.view().data + n * k, static_cast<std::size_t>(k)},
                        {log_probabilities.view().data + n * k, static_cast<std::size_t>(k)}, rest.view().data[n]);
      });
      if (std::any_of(rest.view().data, rest.view().data + rows, [](float x) { return std::isnan(x); })) {
        throw Error(ErrorId::value_not_finite, "predict_top", "logits", "numbers with a finite largest one", "others");
      }
      receiver.receive({read(words.view().middle_rows(0, rows)), read(log_probabilities.view().middle_rows(0, rows)),
                        View<const float>(rest.view().data, Shape{rows})});
    }
  }
}

}  // namespace binllm
