// SPDX-License-Identifier: MIT
/// Small models whose linear layers are of a method's kind.
#pragma once
#include "support/any_model.hpp"

namespace binllm::test {

/// Two layers, in double, every parameter off the value that it starts from.
template <LinearKind K>
[[nodiscard]] Llama<double, Cpu, Quantised<K>> tiny_of_kind() {
  Llama<double> dense(tiny_config());
  initialise(dense, 3, 0.3);
  auto model = quantise<K>(dense);
  disturb(model);
  return model;
}
/// Whether a parameter is no weight of a linear layer: its gradient is a true one where the signs of these stand still.
inline bool beside_weights(const std::string& name) { return !name.ends_with("_proj.weight"); }

}  // namespace binllm::test
