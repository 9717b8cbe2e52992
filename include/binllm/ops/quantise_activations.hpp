// SPDX-License-Identifier: MIT
/// Activations as eight bits hold them, one scale a token: what BitNet trains with (arXiv 2310.11453, 2402.17764).
///   y[r,c] = (1 - s) x[r,c] + s q[r,c] m_r / 127,   q = round(127 x / m_r), ties to even
///   m_r = max( max_c |x[r,c]|, 1e-5 )
///   s = min(t, 1): how much of the rounding error is there. 1 where no t is given.
/// Shapes   x (...,C) -> y (...,C).   t: one number on the device, in [0, +inf].
/// Backward dx += dy, straight through the rounding: the gradient is handed on, nothing is computed.   Saves nothing.
/// Errors   empty_tensor. A NaN or an infinity gives NaN in its row.   Cost: two passes forward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

#include <array>

namespace binllm {

/// min(t, 1), where t stands in device memory and is read when the kernel runs; 1 without one.
struct ShareOfT {
  const double* t = nullptr;
  template <class T>
  [[nodiscard]] constexpr T value() const {
    return t == nullptr || *t >= 1 ? T(1) : static_cast<T>(*t);
  }
};

struct QuantiseActivations {
  static constexpr bool cheap = true;
  struct Magnitude {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x) const {
      return formula::abs(x);
    }
  };
  /// 127 / m and m / 127.
  template <class T>
  struct Steps {
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& most) const {
      const X m = formula::max(most, T(1e-5));
      return {T(127) / m, m * (T(1) / T(127))};
    }
  };
  struct Value {
    ShareOfT share;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& inverse, const X& step) const {
      using T = formula::lane_t<X>;
      const T s = share.value<T>();
      return (T(1) - s) * x + s * (formula::rint(X(x * inverse)) * step);
    }
  };
};

template <>
inline constexpr bool cuda::shipped<QuantiseActivations> = true;
template <class Device>
struct GenericKernel<QuantiseActivations, Device> {
  /// `inverse` and `step` are one number a row of working memory.
  template <class T, class M>
  static void forward(View<const T, Device> x, const double* t, View<M, Device> inverse, View<M, Device> step,
                      View<T, Device> y) {
    using B = Backend<Device>;
    B::template row_reduce<Max>(inverse, x.cols(), QuantiseActivations::Magnitude{}, elements(x));
    B::map(std::array{Target<M>(inverse), Target<M>(step)}, QuantiseActivations::Steps<M>{}, elements(inverse));
    B::map(y, QuantiseActivations::Value{{t}}, elements(x), per_row(inverse), per_row(step));
  }
  static void backward() {}  // the gradient changes hands
};

namespace detail {
template <class T, class Device>
[[nodiscard]] Variable<T, Device> quantise_activations(Variable<T, Device> x, const double* t) {
  check_not_empty("quantise_activations", "x", x.shape());
  const auto row = working<master_t<T>>({x.shape().rows()});
  return operation<QuantiseActivations>("quantise_activations", x.shape(), forward(x, t, row, row), backward(),
                                        passing_to(x));
}
}  // namespace detail

template <class T, class Device>
[[nodiscard]] Variable<T, Device> quantise_activations(Variable<T, Device> x) {
  return detail::quantise_activations(x, nullptr);
}
template <class T, class Device>
[[nodiscard]] Variable<T, Device> quantise_activations(Variable<T, Device> x, View<const double, Device> t) {
  return detail::quantise_activations(x, t.data);
}

}  // namespace binllm
