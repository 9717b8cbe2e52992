// SPDX-License-Identifier: MIT
/// The progressive sign as an op of its own, for teaching and tests; weights use ops/binarize.hpp.
///   y = F(x, t) = tanh(t x) / tanh(t)                                             (Eq. 4)
/// Shapes   x, y alike; t in [0, +inf].
/// Backward dx += dy * F'(x, t).   Saves x (by view).
///   F'(x, t) = t (1 - tanh^2(t x)) / tanh(t)                                      (Eq. 5)
#pragma once
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/fast/estimators.hpp>

namespace binllm {

template <>
inline constexpr bool cuda::shipped<Elementwise<FastProgressiveSign<float>>> = true;

template <class T, class Device>
[[nodiscard]] Variable<T, Device> progressive_sign(Variable<T, Device> x, std::type_identity_t<T> t) {
  if (!(t >= 0))
    throw Error(ErrorId::option_out_of_range, "progressive_sign", "t", "0 <= t <= inf",
                message("{}", static_cast<double>(t)));
  return elementwise(prepared(ProgressiveSign<T>{}, t), x);
}

}  // namespace binllm
