// SPDX-License-Identifier: MIT
/// BinaryConnect: signs without a scale; latent weights stay in [-1, 1].
#pragma once
#include <binllm/methods/clipped_sign.hpp>
#include <binllm/methods/method.hpp>

namespace binllm {

/// W_b = sgn(W),   dW = dW_b;   W is clipped to [-1, 1] after each update.
struct BinaryConnect {
  static constexpr std::string_view name = "binaryconnect", summary = "sgn(W), no scale, W clipped to [-1, 1]";
  static constexpr std::string_view source = "Courbariaux et al., NIPS 2015, arXiv 1511.00363; deterministic";
  static constexpr MethodFacts facts{.weight = "sgn(W)", .granularity = "none", .estimator = "identity"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 1e-4, .last_learning_rate = 2e-6, .weight_decay = 0}};

  struct Identity {
    template <class X>
    [[nodiscard]] static constexpr X slope(const X&) {
      return formula::splat<X>(1);
    }
  };
  template <std::floating_point>
  using kind = BinaryConnect;
  using Form = PackedSigns<>;
  template <class T, class Device>
  using Parameters = ClippedSign<Identity, T, Device>;

  template <class T, class Activations>
  static void store(const Parameters<T, Cpu>& from, PackedSignsMatrix<Activations, T, Cpu>& to) {
    store_two_valued_rows(effective_weight<T>(from), to);
  }
};
static_assert(Method<BinaryConnect>);

}  // namespace binllm
