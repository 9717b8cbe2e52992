// SPDX-License-Identifier: MIT
/// A training-time method as its authors published it: a kind of linear layer, and the numbers that it is trained with.
/// One struct in one file of this room, and one line in methods/shipped.hpp:
///
///     struct LinearBlend {
///       static constexpr std::string_view name = "linear-blend";               // how it is written in print
///       static constexpr std::string_view summary = "W + t (S sgn(W) - W), t from 0 to 1";
///       static constexpr std::string_view source = "authors, where it appeared, arXiv id";
///       static constexpr MethodFacts facts{...};
///       static constexpr MethodSettings published{...};
///       template <std::floating_point T>
///       using kind = ...;                                                      // T is the type of the master weights
///     };
///
/// The kind says the rest (nn/quantised.hpp): parameters, the weight it multiplies with, `sharpness(progress)` where a
/// number changes from step to step, and its stored form, if it has one.
#pragma once
#include <binllm/core/type_list.hpp>
#include <binllm/methods/loss_settings.hpp>
#include <binllm/nn/quantised.hpp>

#include <concepts>
#include <string_view>

namespace binllm {

/// What tables say of a method; "-" for nothing.
struct MethodFacts {
  std::string_view weight;              ///< W_b, as a formula
  std::string_view granularity;         ///< which weights share a scale
  std::string_view estimator;           ///< what backward takes for the derivative of the rounding
  std::string_view learnable = "-";     ///< beside W
  std::string_view activations = "16";  ///< bits
  std::string_view teacher = "-";
  std::string_view bits = "1";  ///< a weight, as published
};

/// What AdamW and its learning rate are told. Where the authors do not say, the paper's own numbers stand.
struct OptimiserSettings {
  double learning_rate = 1e-4, last_learning_rate = 2e-6;  ///< both ends of the cosine
  Index warmup = 0;                                        ///< steps; a run of fewer than ten times as many has a tenth
  double clip = 1;                                         ///< limit of the gradient norm; 0: none
  double beta1 = 0.9, beta2 = 0.95, weight_decay = 0.1;
};

/// The settings as published.
struct MethodSettings {
  OptimiserSettings optimiser{};
  LossSettings loss{};
  Index chunks = 0;             ///< in each of which t is constant; 0: every step has its own t
  bool channel_search = false;  ///< whether stage 1 comes first (models/channel_search.hpp)
};

template <class M>
concept Method = NamedType<M> && requires {
  { M::source } -> std::convertible_to<std::string_view>;
  { M::facts } -> std::convertible_to<MethodFacts>;
  { M::published } -> std::convertible_to<MethodSettings>;
  requires LinearKind<typename M::template kind<float>>;
  requires LinearKind<typename M::template kind<double>>;
};

}  // namespace binllm
