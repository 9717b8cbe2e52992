// SPDX-License-Identifier: MIT
/// What a decoder's memory is for.
#pragma once
#include <binllm/infer/vocabulary_matrix.hpp>
#include <binllm/models/causal_lm.hpp>

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace binllm {

/// Bytes of device memory that model and decoder hold. Not counted: the scratch of the CPU's threads, and what a tape
/// notes about its values, some kilobytes each.
struct DecoderMemory {
  std::size_t linear_layers = 0;     ///< weights, or signs and scales
  std::size_t vocabulary = 0;        ///< embedding and head in the decoder's precision
  std::size_t float_vocabulary = 0;  ///< the model's own, where it still has it; the only one if that is the precision
  std::size_t norms_and_positions = 0;
  std::size_t gradients = 0;  ///< of a trainable model
  std::size_t key_value_cache = 0;
  std::size_t working = 0;  ///< activations, logits, tokens

  [[nodiscard]] std::size_t total() const noexcept {
    return linear_layers + vocabulary + float_vocabulary + norms_and_positions + gradients + key_value_cache + working;
  }
};

namespace detail {

template <class T, class Device>
[[nodiscard]] std::size_t bytes_of(const Tensor<T, Device>& tensor) {
  return static_cast<std::size_t>(tensor.size()) * sizeof(T);
}
template <class T, class Device>
[[nodiscard]] std::size_t bytes_of(const Parameter<T, Device>& parameter) {
  return static_cast<std::size_t>(parameter.size()) * sizeof(T);
}
/// Leaves that describe their own tensors say how large they are.
template <class Leaf>
requires requires(const Leaf& leaf) { leaf.bytes(); }
[[nodiscard]] std::size_t bytes_of(const Leaf& leaf) { return leaf.bytes(); }

/// The model's part of the memory.
template <LanguageModel Model>
[[nodiscard]] DecoderMemory memory_of_model(const Model& model) {
  DecoderMemory memory;
  std::size_t in_block = 0;  // a block also holds what fills parameters up to cache lines
  for_each_linear(
      [&](const auto& linear) {
        for_each_leaf(
            "",
            [&](const std::string&, const auto& leaf) {
              memory.linear_layers += bytes_of(leaf);
              if constexpr (is_parameter<std::remove_cvref_t<decltype(leaf)>>) in_block += bytes_of(leaf);
            },
            linear);
      },
      model);
  memory.float_vocabulary = bytes_of(model.embed_tokens) + bytes_of(model.lm_head);
  memory.norms_and_positions = bytes_of(model.block.values) - in_block - memory.float_vocabulary +
                               model.positions.bytes();
  memory.gradients = bytes_of(model.block.gradients);
  return memory;
}

/// Frees embedding and head: the other parameters move to a block of their own.
template <LanguageModel Model>
void release_vocabulary(Model& model) {
  using Master = typename Model::Master;
  using Device = typename Model::device;
  const ParameterBlock<Master, Device> former = std::exchange(model.block, {});
  model.embed_tokens = model.lm_head = Parameter<Master, Device>(Shape{0});
  std::vector<View<Master, Device>> values;
  for_each_parameter(model, [&](const std::string&, Parameter<Master, Device>& parameter) {
    values.push_back(parameter.value);
    parameter.value.data = parameter.gradient.data = nullptr;
  });
  model.allocate();
  std::size_t next = 0;
  for_each_parameter(model, [&](const std::string&, Parameter<Master, Device>& parameter) {
    Backend<Device>::copy(parameter.value.data, values[next++].data, bytes_of(parameter));
  });
}

}  // namespace detail

}  // namespace binllm
