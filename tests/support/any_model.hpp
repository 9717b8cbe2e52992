// SPDX-License-Identifier: MIT
/// What tests do with a model of any family and format: logits, losses, gradients, a short training.
#pragma once
#include "support/tensors.hpp"

#include <binllm/binllm.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace binllm::test {

inline constexpr double sign = std::numeric_limits<double>::infinity();

/// Two layers, grouped heads, widths that are no multiples of eight.
inline ModelConfig tiny_config(Index vocab_size = 37) {
  ModelConfig c;
  c.vocab_size = vocab_size;
  c.hidden_size = 12;
  c.intermediate_size = 20;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 4;
  c.max_position_embeddings = 32;
  return c;
}

/// Every parameter off the values that it starts from, so that none is without effect.
template <LanguageModel Model>
void disturb(Model& model, double share = 0.2) {
  std::uint64_t tensor = 0;
  for_each_parameter(model, [&](const std::string&, auto& parameter) {
    const Random random(9, Purpose::test, tensor++);
    for (Index i = 0; i < parameter.size(); ++i) {
      using M = typename Model::Master;
      const auto draw = [&](Index k) { return random.normal(static_cast<std::uint64_t>(k)); };
      M& value = parameter.value.data[i];
      value = static_cast<M>(static_cast<double>(value) * (1 + share * draw(2 * i)) + 0.1 * share * draw(2 * i + 1));
    }
  });
}

/// Logits (B,T,V) at a sharpness.
template <LanguageModel Model>
Tensor<typename Model::value_type> logits_of(const Model& model, View<const std::int32_t> ids, double t = sign) {
  using Device = typename Model::device;
  Tape<Device> tape;
  const NoGrad<Device> pause(tape);
  StepScalars<Device> scalars;
  scalars.set(StepScalars<Device>::sharpness, t);
  Pass<typename Model::value_type, Device> pass{tape, scalars};
  Tensor<std::int32_t, Device> there(ids.shape);
  copy_to_device(ids, there.view());
  return host(model.logits(pass, read(there.view())).value());
}

/// The same logits, read token by token with a cache.
template <LanguageModel Model>
Tensor<typename Model::value_type> decoded_logits(const Model& model, View<const std::int32_t> ids, double t = sign) {
  using T = typename Model::value_type;
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, t);
  auto cache = model.cache(ids.size());
  Tensor<T> all(Shape{1, ids.size(), model.config.vocab_size});
  for (Index i = 0; i < ids.size(); ++i) {
    tape.reset();
    Pass<T, Cpu> pass{tape, scalars, &cache};
    const auto row = model.logits(pass, {ids.data + i, Shape{1, 1}}).value();
    std::copy_n(row.data, row.size(), all.view().data + i * row.size());
  }
  return all;
}

/// Checks the gradients of a model's parameters whose name `chosen(name)` accepts, against finite differences of
/// loss(pass).
template <LanguageModel Model, class Loss, class Chosen>
void check_gradients(Model& model, double t, const Loss& loss, const Chosen& chosen) {
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, t);
  Tape<> tape;
  Pass<double, Cpu> pass{tape, scalars};
  model.block.zero_gradients();
  tape.backward(loss(pass));
  const auto value = [&] {
    tape.reset();
    const NoGrad<Cpu> pause(tape);
    return *loss(pass).value().data;
  };
  for_each_parameter(model, [&](const std::string& name, auto& parameter) {
    if (!chosen(name)) return;
    INFO(name);
    CHECK(gradient_error(value, parameter.value, read(parameter.gradient), 24, 1e-4).relative < 1e-6);
  });
}
/// Of the loss of the next token.
template <LanguageModel Model, class Chosen>
void check_gradients(Model& model, double t, const Chosen& chosen) {
  const auto ids = random_ids({2, 7}, model.config.vocab_size, 1),
             targets = random_ids({2, 7}, model.config.vocab_size, 2);
  check_gradients(
      model, t, [&](auto& pass) { return model.loss(pass, read(ids.view()), read(targets.view())); }, chosen);
}
inline bool every_parameter(const std::string&) { return true; }

/// Losses of so many steps on windows of a corpus.
template <class Model>
std::vector<double> short_training(Model& model, const TokenStream& corpus, Index steps, double learning_rate,
                                   double t = 0, Index batch = 4, Index context = 32) {
  const Batches batches(corpus, batch, context, 1);
  TrainingStep<Model> training(model, batch, 0, context, {});
  std::vector<double> losses;
  for (Index step = 0; step < steps; ++step) {
    const auto fill = [&](View<std::int32_t> ids, View<std::int32_t> targets) {
      batches.fill(static_cast<std::uint64_t>(step), {ids.data, static_cast<std::size_t>(ids.size())},
                   {targets.data, static_cast<std::size_t>(targets.size())});
    };
    losses.push_back(training.run(fill, step, learning_rate, t, 1).loss);
  }
  return losses;
}
/// The mean of the last quarter over that of the first.
inline double fall(const std::vector<double>& losses) {
  const auto quarter = static_cast<std::ptrdiff_t>(losses.size() / 4);
  double first = 0, last = 0;
  for (std::ptrdiff_t i = 0; i < quarter; ++i)
    first += losses[static_cast<std::size_t>(i)], last += *(losses.end() - 1 - i);
  return last / first;
}

/// A few thousand bytes of stories, one token a byte.
inline TokenStream byte_stories(Index count = 20) {
  return TokenStream::from_string(stories_of(Split::train, 1, static_cast<std::size_t>(count) * 200), byte_tokenizer());
}

}  // namespace binllm::test
