// SPDX-License-Identifier: MIT
/// A Llama small enough for finite differences, with every feature: grouped heads, two layers, odd widths.
#pragma once
#include "support/tensors.hpp"

#include <binllm/models/channel_search.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/policy/progressive_sign.hpp>

namespace binllm::test {

inline LlamaConfig small_config() {
  LlamaConfig c;
  c.vocab_size = 37;
  c.hidden_size = 24;
  c.intermediate_size = 40;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 6;
  c.max_position_embeddings = 32;
  return c;
}

template <class T, ChannelSharing sharing = ChannelSharing::shared, class S = DualScale<T>>
using PaperRecipe = Recipe<ProgressiveSign<T>, S, ChannelScale<T, sharing>, ExponentialSchedule>;

template <class T>
Llama<T> small_llama(LlamaConfig config = small_config(), std::uint64_t seed = 1) {
  Llama<T> model(config);
  initialise(model, seed, 0.3);
  std::uint64_t tensor = 100;
  for_each_parameter(model, [&](const std::string&, auto& parameter) {
    if (parameter.rule.decays) return;
    for (Index i = 0; i < parameter.size(); ++i)
      parameter.value.data[i] =
          static_cast<T>(1 + 0.2 * Random(seed, Purpose::test, tensor).normal(static_cast<std::uint64_t>(i)));
    ++tensor;
  });
  return model;
}

/// Logits (B,T,V) at a sharpness.
template <class T, class F>
Tensor<T> logits_of(const Llama<T, Cpu, F>& model, View<const std::int32_t> ids,
                    double sharpness = std::numeric_limits<double>::infinity()) {
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, sharpness);
  Pass<T, Cpu> pass{tape, scalars};
  return host(model.logits(pass, ids).value());
}

}  // namespace binllm::test
