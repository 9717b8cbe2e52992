// SPDX-License-Identifier: MIT
/// Weight decay of the weights of linear layers towards their signs instead of towards 0 (after CAGE, arXiv 2510.18784):
///
///     w -= lr rate decay (w - S sgn w),     S = mean |w| of the row
///
/// The mean magnitude of a row, S_a of the binary kind, stays as it is, which decay towards 0 would shrink; in x = w / S
/// a step is x -= lr rate decay (x - sgn x).
#pragma once
#include <binllm/device/kernel.hpp>
#include <binllm/optim/trained_ranges.hpp>

#include <algorithm>

namespace binllm {

/// Where weight decay pulls the weights of linear layers; all other parameters that decay go to 0.
enum class DecayTarget { zero, signs };

struct DecayToSigns {
  template <class T>
  struct Magnitude {
    T weight;  // 1/n: the sum becomes a mean
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w) const {
      return weight * formula::abs(w);
    }
  };
  template <class T>
  struct Formula {
    T decay;
    const double* learning_rate;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& s) const {
      const T pull = static_cast<T>(*learning_rate) * decay;
      return w - pull * (w - s * formula::sign(w));
    }
  };
};

template <>
inline constexpr bool cuda::shipped<DecayToSigns> = true;
template <class Device>
struct GenericKernel<DecayToSigns, Device> {
  /// `decay` is times the rule's rate; `means` has room for a number a row.
  template <class T>
  static void update(T decay, const double* learning_rate, View<T, Device> w, View<T, Device> means) {
    using B = Backend<Device>;
    const View<const T, Device> weight = read(w);
    B::template row_reduce<Sum>(means, w.cols(), DecayToSigns::Magnitude<T>{T(1) / static_cast<T>(w.cols())},
                                elements(weight));
    B::map(w, DecayToSigns::Formula<T>{decay, learning_rate}, elements(weight), per_row(read(means)));
  }
};

/// The decay of all weights of linear layers that an optimiser trains, before it steps.
template <class T, class Device>
class SignDecay {
 public:
  explicit SignDecay(const TrainedRanges<T, Device>& trained) {
    for (const auto& matrix : trained.matrices) {
      if (matrix.rule.decays) matrices_.push_back(matrix);
    }
    Index rows = 0;
    for (const auto& matrix : matrices_) rows = std::max(rows, matrix.value.rows());
    means_ = Tensor<T, Device>(Shape{rows});
  }
  void update(double decay, const double* learning_rate) {
    for (const auto& matrix : matrices_) {
      const View<T, Device> means(means_.view().data, Shape{matrix.value.rows()});
      Kernel<DecayToSigns, Device>::update(static_cast<T>(decay * matrix.rule.rate), learning_rate, matrix.value, means);
    }
  }

 private:
  std::vector<TrainedMatrix<T, Device>> matrices_;
  Tensor<T, Device> means_;
};

}  // namespace binllm
