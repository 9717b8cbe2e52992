// SPDX-License-Identifier: MIT
/// The Gaussian error linear unit (Hendrycks and Gimpel, arXiv 1606.08415), exact, and as GPT-2 approximates it.
///   gelu(x) = x P(x),                     P(x) = (1 + erf(x / sqrt(2))) / 2
///             slope P(x) + x p(x),        p(x) = e^{-x^2 / 2} / sqrt(2 pi)
///   gelu_tanh(x) = x (1 + tanh u) / 2,    u = sqrt(2 / pi) (x + a x^3),   a = 0.044715
///             slope (1 + tanh u) / 2 + x (1 - tanh^2 u) u' / 2,   u' = sqrt(2 / pi) (1 + 3 a x^2)
/// Shapes, backward, cost   as ops/elementwise.hpp.
#pragma once
#include <binllm/ops/elementwise.hpp>

#include <numbers>

namespace binllm {

struct Gelu {
  template <class X>
  [[nodiscard]] static constexpr X probability(const X& x) {  // that a standard normal number is below x
    using T = formula::lane_t<X>;
    return T(0.5) * (T(1) + formula::erf(X(x * T(1 / std::numbers::sqrt2))));
  }
  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    return x * probability(x);
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    using T = formula::lane_t<X>;
    constexpr T peak = T(std::numbers::inv_sqrtpi / std::numbers::sqrt2);  // p(0)
    return probability(x) + x * (peak * formula::exp(X(x * x * T(-0.5))));
  }
};

struct GeluTanh {
  static constexpr double root = std::numbers::sqrt2 * std::numbers::inv_sqrtpi, cubic = 0.044715;
  template <class X>
  [[nodiscard]] static constexpr X tanh_u(const X& x) {
    using T = formula::lane_t<X>;
    return formula::tanh(X(T(root) * (x + T(cubic) * x * x * x)));
  }
  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    using T = formula::lane_t<X>;
    return T(0.5) * x * (T(1) + tanh_u(x));
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    using T = formula::lane_t<X>;
    const X t = tanh_u(x), du = T(root) * (T(1) + T(3 * cubic) * x * x);
    return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * du;
  }
};

template <>
inline constexpr bool cuda::shipped<Elementwise<Gelu>> = true;
template <>
inline constexpr bool cuda::shipped<Elementwise<GeluTanh>> = true;

template <class T, class Device>
[[nodiscard]] Variable<T, Device> gelu(Variable<T, Device> x) {
  return elementwise(Gelu{}, x);
}
template <class T, class Device>
[[nodiscard]] Variable<T, Device> gelu_tanh(Variable<T, Device> x) {
  return elementwise(GeluTanh{}, x);
}

}  // namespace binllm
