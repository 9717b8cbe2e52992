// SPDX-License-Identifier: MIT
/// What a method that quantises trained weights is given of a linear layer: its weight, and what enters it.
#pragma once
#include <binllm/methods/post_training/inverse_factor.hpp>
#include <binllm/nn/role.hpp>
#include <binllm/nn/stored.hpp>

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// What enters the linear layers of one role in one block, summed up over the calibration text. They share it.
///     H = (2 / N) sum x x^T         N: windows,   x (in): each token's input
class Calibration {
 public:
  /// Nothing was seen: of methods that look at weights alone.
  Calibration() = default;
  Calibration(Tensor<double> hessian, Index windows, Index tokens)
      : windows(windows), tokens(tokens), hessian_(std::move(hessian)) {}

  Index windows = 0, tokens = 0;

  /// (in, in), symmetric; empty where nothing was seen.
  [[nodiscard]] View<const double> hessian() const { return hessian_.view(); }
  /// Computed once for all layers of the role. Errors: those of inverse_factor.
  [[nodiscard]] const InverseFactor& inverse_factor(const FactorOptions& options) const {
    if (!factor_ || !(factor_of_ == options)) factor_.emplace(binllm::inverse_factor(hessian(), options));
    factor_of_ = options;
    return *factor_;
  }
  /// The last one that was asked for, if any, and the damping that was asked for.
  [[nodiscard]] const InverseFactor* factor() const { return factor_ ? &*factor_ : nullptr; }
  [[nodiscard]] double damping_asked() const { return factor_of_.damping; }

 private:
  Tensor<double> hessian_;
  mutable std::optional<InverseFactor> factor_;
  mutable FactorOptions factor_of_;
};

struct CalibratedLayer {
  std::string_view name;  ///< as in files, "model.layers.0.self_attn.q_proj"
  Index block = 0;
  Role role = Role::attention_in;
  View<const float> weight;  ///< (out, in)
  const Calibration& inputs;
  Index place = 0;  ///< among the layers of this input: 0, 1, 2 are q, k, v
};

/// A method after training: a struct of options (`visit`) with
///   name, summary, source          source: where it was published
///   Form, form()                   the stored form that it writes, with its settings
///   operator()(layer, matrix)      quantises one layer: the matrix is that of the form, zero until then
///   calibrated                     optional: false where it looks at weights alone (default: true)
///   scale_input(input)             optional: moves scales before the block's layers are quantised (scalable_input.hpp)
template <class M>
concept PostTrainingMethod = OptionSet<M> && StoredForm<typename M::Form> &&
    requires(const M& method, const CalibratedLayer& layer, typename M::Form::template Matrix<float, Cpu>& matrix) {
  { M::name } -> std::convertible_to<std::string_view>;
  { M::summary } -> std::convertible_to<std::string_view>;
  { M::source } -> std::convertible_to<std::string_view>;
  { method.form() } -> std::same_as<typename M::Form>;
  method(layer, matrix);
};
template <PostTrainingMethod M>
[[nodiscard]] constexpr bool is_calibrated() {
  if constexpr (requires { M::calibrated; }) return M::calibrated;
  return true;
}

}  // namespace binllm
