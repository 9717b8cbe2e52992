// SPDX-License-Identifier: MIT
/// What is worth knowing about a run: is it healthy, and how far has each weight gone towards one bit.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/models/causal_lm.hpp>
#include <binllm/nn/erased_format.hpp>
#include <binllm/packed/sign_row.hpp>

#include <bit>
#include <cmath>
#include <optional>
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
  throw Error(ErrorId::training_diverged, "training", message("step {}", step), "finite loss and gradients",
              message("loss {}, gradient norm {}, first in {}", loss, gradient_norm,
                      tensor.empty() ? "an activation" : tensor));
}

/// Throws training_diverged, naming the first tensor, unless all that a training keeps is finite: an update may overflow
/// where loss and gradients did not.
template <class Model, class Optimiser>
void check_healthy(const Model& model, Optimiser& optimiser, Index step) {
  std::string tensor;
  const auto look = [&](const std::string& name, auto view) {
    if (tensor.empty() && !OnHost(read(view)).view().flat().isFinite().all()) tensor = name;
  };
  for_each_parameter(model, [&](const std::string& name, const auto& parameter) { look(name, parameter.value); });
  optimiser.states([&](std::string_view name, auto& state) { look(std::string(name), state.view()); });
  if (tensor.empty()) return;
  throw Error(ErrorId::training_diverged, "training", message("step {}", step), "finite values after the update",
              message("others, first in {}", tensor));
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
    std::vector<Index> flips_of_row;
    for_each_linear(
        [&](const auto& linear) {
          const auto* const trained = trained_weight(linear);
          if (trained == nullptr) return;
          const OnHost weight(read(trained->value));
          const auto w = weight.view();
          const auto bytes = static_cast<std::size_t>(sign_row_bytes(w.cols()));
          const std::size_t end = at + bytes * static_cast<std::size_t>(w.rows());
          if (first) bits_.resize(end);
          flips_of_row.assign(static_cast<std::size_t>(w.rows()), 0);
          parallel_for(w.rows(), [&](Index i) {
            std::uint8_t* const before = bits_.data() + at + bytes * static_cast<std::size_t>(i);
            std::vector<std::uint8_t> row(bytes);
            pack_row(w.middle_rows(i, 1).reshaped(Shape{w.cols()}), row.data());
            for (std::size_t k = 0; k < bytes; ++k) {
              if (!first)
                flips_of_row[static_cast<std::size_t>(i)] += std::popcount(static_cast<unsigned>(before[k] ^ row[k]));
              before[k] = row[k];
            }
          });
          for (const Index count : flips_of_row) flips += count;
          at = end;
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

/// How far the weights of a model have gone towards one bit at t; nothing where its kind of linear layer does not know.
template <LanguageModel Model>
requires requires(const Model& model, BitProgress& sum) { linear_layers(model).front().linear->add_progress(0.0, sum); }
[[nodiscard]] std::optional<BinarySummary> summarise(const Model& model, double sharpness) {
  BitProgress sum;
  for_each_linear([&](const auto& linear) { linear.add_progress(sharpness, sum); }, model);
  if (sum.weights == 0) return std::nullopt;
  return BinarySummary{static_cast<double>(sum.saturated) / static_cast<double>(sum.weights),
                       sum.scale_drift / static_cast<double>(std::max<Index>(sum.scales, 1))};
}

}  // namespace binllm
