// SPDX-License-Identifier: MIT
/// What a method that quantises trained weights is given of a linear layer: its weight, and what enters it.
#pragma once
#include <binllm/methods/forms/grid.hpp>
#include <binllm/methods/post_training/inverse_factor.hpp>
#include <binllm/nn/role.hpp>
#include <binllm/nn/stored.hpp>

#include <cmath>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// A Hessian that stays where it was summed up, and what methods do with it there. All else is of the host.
class DeviceHessian {
 public:
  virtual ~DeviceHessian() = default;
  [[nodiscard]] virtual const std::vector<double>& diagonal() const = 0;
  /// (in, in), on the host.
  [[nodiscard]] virtual Tensor<double> values() const = 0;
  /// Made and kept on the device; on the host as well if `upper` is wanted.
  [[nodiscard]] virtual InverseFactor inverse_factor(const FactorOptions& options, bool upper) = 0;
  /// tr (W - Q) H (W - Q)^T
  [[nodiscard]] virtual double quadratic(View<const float> w, View<const float> q) const = 0;
  /// What sweep_columns with GridRows does (gptq.hpp), by the last factor that was made.
  virtual void sweep_grids(View<const float> w, Index block, bool fixed_grids, Grid::Matrix<float, Cpu>& to) = 0;
};

/// What enters the linear layers of one role in one block, summed up over the calibration text. They share it.
///     H = (2 / N) sum x x^T         N: windows,   x (in): each token's input
class Calibration {
 public:
  /// Nothing was seen: of methods that look at weights alone.
  Calibration() = default;
  Calibration(Tensor<double> hessian, Index windows, Index tokens)
      : windows(windows), tokens(tokens), hessian_(std::move(hessian)) {}
  Calibration(std::unique_ptr<DeviceHessian> hessian, Index windows, Index tokens)
      : windows(windows), tokens(tokens), device_(std::move(hessian)) {}

  Index windows = 0, tokens = 0;

  [[nodiscard]] bool empty() const { return tokens == 0; }
  /// (in, in), symmetric; empty where nothing was seen.
  [[nodiscard]] View<const double> hessian() const {
    if (device_ && !hessian_) hessian_ = device_->values();
    return std::as_const(hessian_).view();
  }
  /// Whether its diagonal is.
  [[nodiscard]] bool is_finite() const {
    double sum = 0;
    if (device_) {
      for (const double entry : device_->diagonal()) sum += entry;
    } else {
      for (Index j = 0; j < hessian().rows(); ++j) sum += hessian().row(j)[j];
    }
    return std::isfinite(sum);
  }
  /// Computed once for all layers of the role. Errors: those of inverse_factor.
  [[nodiscard]] const InverseFactor& inverse_factor(const FactorOptions& options) const {
    const bool there = factor_ && factor_->upper && factor_of_ == options;
    if (!there) factor_ = device_ ? device_->inverse_factor(options, true) : binllm::inverse_factor(hessian(), options);
    factor_of_ = options;
    return *factor_;
  }
  /// The Hessian on a device that has a solver of its own, else null.
  [[nodiscard]] DeviceHessian* on_device() const { return device_.get(); }
  /// The same on such a device, where `upper` stays there.
  [[nodiscard]] const InverseFactor& inverse_factor_on_device(const FactorOptions& options) const {
    if (!factor_ || !(factor_of_ == options)) factor_ = device_->inverse_factor(options, false);
    factor_of_ = options;
    return *factor_;
  }
  /// The last one that was asked for, if any, and the damping that was asked for.
  [[nodiscard]] const InverseFactor* factor() const { return factor_ ? &*factor_ : nullptr; }
  [[nodiscard]] double damping_asked() const { return factor_of_.damping; }

 private:
  mutable Tensor<double> hessian_;
  std::unique_ptr<DeviceHessian> device_;
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
