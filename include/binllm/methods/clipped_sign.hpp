// SPDX-License-Identifier: MIT
/// The sign of a weight that stays in [-1, 1], without a scale: what BinaryConnect and BNN have in common.
#pragma once
#include <binllm/methods/two_valued_rows.hpp>
#include <binllm/nn/grouped_weight.hpp>

#include <cmath>

namespace binllm {

/// W_b = sgn(W),   dW = dW_b E'(W)
template <class Estimator>
struct PlainSign {
  using Numbers = TypeList<>;
  template <class X>
  [[nodiscard]] constexpr X value(const X& w) const {
    return formula::sign(w);
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 1> partials(const X& w) const {
    return {Estimator::slope(w)};
  }
};

/// max(-1, min(w, 1))
struct ClipToOne {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w) const {
    using T = formula::lane_t<X>;
    return formula::max(formula::min(w, T(1)), T(-1));
  }
};

/// As both codes have it, the learning rate of a layer is that of the step over Glorot's deviation,
/// sqrt((in + out) / 1.5): weights of order 1 move as those of order sqrt(1.5 / (in + out)) would.
template <class Estimator, class T, class Device>
struct ClippedSign : LatentWeight<PlainSign<Estimator>, T, Device> {
  template <class Kind>
  ClippedSign(const Kind& kind, const LinearShape& s) : LatentWeight<PlainSign<Estimator>, T, Device>(kind, s) {
    this->weight.rule.rate = std::sqrt(static_cast<double>(s.in + s.out) / 1.5);
  }
  void after_update(Index, double) {
    Backend<Device>::map(this->weight.value, ClipToOne{}, elements(this->weight.value));
  }
};

}  // namespace binllm
