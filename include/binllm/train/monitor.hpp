// SPDX-License-Identifier: MIT
/// What is worth knowing about a run: is it healthy, and how far has each weight gone towards one bit.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/models/convert.hpp>

#include <bit>
#include <cmath>
#include <vector>

namespace binllm {

/// The first parameter with a value that is not finite, or else with such a gradient; empty if there is none.
template <class Model>
[[nodiscard]] std::string first_not_finite(const Model& model) {
  std::string value, gradient;
  for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
    const auto finite = [](auto view) { return OnHost(read(view)).view().flat().isFinite().all(); };
    if (value.empty() && !finite(parameter.value)) value = name;
    if (gradient.empty() && parameter.gradient && !finite(parameter.gradient)) gradient = name + " (gradient)";
  });
  return value.empty() ? gradient : value;
}

/// Throws training_diverged, naming the tensor, unless loss and gradient norm are finite.
template <class Model>
void check_healthy(const Model& model, Index step, double loss, double gradient_norm) {
  if (std::isfinite(loss) && std::isfinite(gradient_norm)) return;
  const std::string tensor = first_not_finite(model);
  throw Error(ErrorId::training_diverged, "training", fmt::format("step {}", step), "finite loss and gradients",
              fmt::format("loss {}, gradient norm {}, first in {}", loss, gradient_norm,
                          tensor.empty() ? "an activation" : tensor));
}

/// Signs of all block weights of a binary model, one bit each, to count flips against.
class SignSnapshot {
 public:
  /// Takes the signs; returns the share that differs from the last snapshot (0 at the first).
  template <class T, class Device, class F>
  double update(const Llama<T, Device, F>& model) {
    std::size_t at = 0;
    Index flips = 0, weights = 0;
    const bool first = bits_.empty();
    std::vector<std::uint8_t> row;
    for_each_linear(
        [&](const auto& linear) {
          const OnHost weight(read(linear.weight.value));
          const auto w = weight.view();
          row.resize(static_cast<std::size_t>(sign_row_bytes(w.cols())));
          for (Index i = 0; i < w.rows(); ++i) {
            pack_row(w.middle_rows(i, 1).reshaped(Shape{w.cols()}), row.data());
            if (first) bits_.resize(at + row.size());
            for (std::size_t k = 0; k < row.size(); ++k) {
              if (!first) flips += std::popcount(static_cast<unsigned>(bits_[at + k] ^ row[k]));
              bits_[at + k] = row[k];
            }
            at += row.size();
          }
          weights += w.size();
        },
        model);
    return weights == 0 ? 0.0 : static_cast<double>(flips) / static_cast<double>(weights);
  }
  [[nodiscard]] std::vector<std::uint8_t>& bits() noexcept { return bits_; }

 private:
  std::vector<std::uint8_t> bits_;
};

/// Share of block weights whose |F(W / S_a, t)| exceeds 0.99, and mean |S_l - 1|.
struct BinarySummary {
  double saturated = 0, scale_drift = 0;
};

template <class T, class Device, RecipeLike R>
[[nodiscard]] BinarySummary summarise(const Llama<T, Device, Binary<R>>& model, double hardness) {
  using M = master_t<T>;
  BinarySummary summary;
  Index saturated = 0, weights = 0, scales = 0;
  const ScaleTraits traits = model.format.scale.traits();
  for_each_linear(
      [&](const auto& linear) {
        const OnHost weight(read(linear.weight.value)), scale(read(linear.scale.value));
        const auto w = weight.view();
        const GroupedBlock<Cpu, typename R::scale> grouped(traits, w.shape);
        Tensor<M> mean(Shape{grouped.groups});
        Kernel<MeanMagnitude, Cpu>::forward(traits, w, mean.view());
        const auto block = grouped.block(w);
        for (Index r = 0; r < block.rows(); ++r) {
          for (Index c = 0; c < block.cols(); ++c) {
            const Index group = grouped.by_column ? c : r;
            const M s = traits.analytic ? mean.view().data[group] : std::abs(scale.view().data[group]);
            const M x = s > M(0) ? block.data[r * block.cols() + c] / s : M(0);
            saturated += std::abs(value_of(model.format.estimator, x, static_cast<M>(hardness))) > M(0.99);
          }
        }
        weights += w.size();
        if (traits.learned && traits.analytic)
          summary.scale_drift += static_cast<double>((scale.view().flat() - M(1)).abs().sum());
        scales += linear.scale.size();
      },
      model);
  summary.saturated = static_cast<double>(saturated) / static_cast<double>(std::max<Index>(weights, 1));
  summary.scale_drift /= static_cast<double>(std::max<Index>(scales, 1));
  return summary;
}

}  // namespace binllm
