// SPDX-License-Identifier: MIT
/// What is worth knowing about a run: is it healthy, and how far has each weight gone towards one bit.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/models/channel_search.hpp>

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
  template <class Model>
  double update(const Model& model) {
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

namespace detail {
/// How many of the weights of one layer are saturated; `scale` is S_l where the policy learns it.
template <class S, class At, class M>
[[nodiscard]] Index saturated_weights(const ScaleTraits& traits, const At& at, View<const M> w, View<const M> scale) {
  const GroupedBlock<Cpu, S> grouped(traits, w.shape);
  Tensor<M> reciprocal(Shape{grouped.groups});
  if (traits.analytic) {
    Kernel<MeanMagnitude, Cpu>::forward(traits, w, reciprocal.view());
  } else {
    reciprocal.view().flat() = scale.flat().abs();
  }
  Backend<Cpu>::map(reciprocal.view(), ReciprocalScale{}, elements(reciprocal.view()));
  const auto block = grouped.block(w);
  std::vector<Index> of_row(static_cast<std::size_t>(block.rows()));
  grouped.with_groups([&](auto by_group) {
    parallel_for(block.rows(), [&](Index row) {
      const auto value = [&](const Pack<M>& lanes, const Pack<M>& inverse) {
        return value_at(at, Pack<M>(lanes * inverse));
      };
      for (Index col = 0; col < block.cols(); col += pack_width) {
        const Index count = std::min(pack_width, block.cols() - col);
        const Pack<M> e =
            cpu::apply<Pack<M>>(value, row, col, count, elements(block), by_group(read(reciprocal.view())));
        of_row[static_cast<std::size_t>(row)] += (e.head(count).abs() > M(0.99)).count();
      }
    });
  });
  Index all = 0;
  for (const Index count : of_row) all += count;
  return all;
}
}  // namespace detail

template <class A, class T, class Device, RecipeLike R>
[[nodiscard]] BinarySummary summarise(const CausalLm<A, T, Device, Binary<R>>& model, double hardness) {
  using M = master_t<T>;
  BinarySummary summary;
  Index saturated = 0, weights = 0, scales = 0;
  const ScaleTraits traits = model.format.scale.traits();
  const auto at = prepared(model.format.estimator, static_cast<M>(hardness));
  for_each_linear(
      [&](const auto& linear) {
        const OnHost weight(read(linear.weight.value)), scale(read(linear.scale.value));
        saturated += detail::saturated_weights<typename R::scale>(traits, at, weight.view(), scale.view());
        weights += weight.view().size();
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
