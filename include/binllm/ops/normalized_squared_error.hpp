// SPDX-License-Identifier: MIT
/// Mean squared distance of the directions of rows, for the distillation of hidden states.
///   y = (1/R) sum_r e_r,   e_r = || u_r - v_r ||^2,   u_r = a_r / |a_r|,   v_r = b_r / |b_r|
/// (e_r = 2 - 2 cos(a_r, b_r), but nothing cancels where the two are close.) A row of zeros has the direction 0.
/// Shapes   a and b alike, R rows -> y (1), in master_t.
/// Backward da_r += (2/R) dy ( u_r - v_r - u_r p_r ) / |a_r|,   p_r = u_r . (u_r - v_r) = e_r / 2, or e_r where b_r = 0;
///          db_r likewise.
/// Saves    a and b (by view), 1/|a_r|, 1/|b_r| and e_r.
/// Errors   shape_mismatch, empty_tensor.   Cost: four passes forward, one backward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/scale.hpp>

#include <array>
#include <cmath>

namespace binllm {

struct NormalizedSquaredError {
  /// 1 / sqrt(s), 0 for s = 0.
  struct Inverse {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& s) const {
      using std::sqrt;
      using T = formula::lane_t<X>;
      const X positive = formula::abs_slope(s);
      return positive / sqrt(X(s + (T(1) - positive)));
    }
  };
  struct Distance {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& a, const X& b, const X& inverse_a, const X& inverse_b) const {
      const X difference = a * inverse_a - b * inverse_b;
      return difference * difference;
    }
  };
  template <class T>
  struct Gradients {  // of a and of b
    T factor;
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& a, const X& b, const X& inverse_a, const X& inverse_b,
                                                        const X& e, const X& dy) const {
      const X u = a * inverse_a, v = b * inverse_b;
      return {factor * dy * inverse_a * (u - v - u * along(e, inverse_b)),
              factor * dy * inverse_b * (v - u - v * along(e, inverse_a))};
    }
    /// p, where the other row has this inverse.
    template <class X>
    [[nodiscard]] static constexpr X along(const X& e, const X& inverse) {
      return e * (T(1) - T(0.5) * formula::abs_slope(inverse));
    }
  };
};

template <>
inline constexpr bool cuda::shipped<NormalizedSquaredError> = true;
template <class Device>
struct GenericKernel<NormalizedSquaredError, Device> {
  using B = Backend<Device>;
  template <class T, class M>
  static void forward(View<const T, Device> a, View<const T, Device> b, View<M, Device> inverse_a,
                      View<M, Device> inverse_b, View<M, Device> distance, View<M, Device> y) {
    using Op = NormalizedSquaredError;
    B::template row_reduce<Sum>(inverse_a, a.cols(), RmsNorm::Square{}, elements(a));
    B::map(inverse_a, Op::Inverse{}, elements(inverse_a));
    B::template row_reduce<Sum>(inverse_b, b.cols(), RmsNorm::Square{}, elements(b));
    B::map(inverse_b, Op::Inverse{}, elements(inverse_b));
    B::template row_reduce<Sum>(distance, a.cols(), Op::Distance{}, elements(a), elements(b), per_row(inverse_a),
                                per_row(inverse_b));
    B::template row_reduce<Sum>(y, a.rows(), Times<M>{M(1) / static_cast<M>(a.rows())}, per_column(read(distance)));
  }
  template <class T, class M>
  static void backward(View<const T, Device> a, View<const T, Device> b, View<const M, Device> inverse_a,
                       View<const M, Device> inverse_b, View<const M, Device> distance, View<const M, Device> dy,
                       Into<T, Device> da, Into<T, Device> db) {
    const NormalizedSquaredError::Gradients<M> gradients{M(2) / static_cast<M>(a.rows())};
    B::template map<Write::accumulate>(std::array{Target<T>(da), Target<T>(db)}, gradients, elements(a), elements(b),
                                       per_row(inverse_a), per_row(inverse_b), per_row(distance), uniform(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<master_t<T>, Device> normalized_squared_error(Variable<T, Device> a, Variable<T, Device> b) {
  check_not_empty("normalized_squared_error", "a", a.shape());
  check_shape("normalized_squared_error", "b", b.shape(), a.shape());
  using M = master_t<T>;
  const Shape rows{a.shape().rows()};
  const auto inverse_a = saved<M>(a.tape(), rows), inverse_b = saved<M>(a.tape(), rows),
             distance = saved<M>(a.tape(), rows);
  return operation<NormalizedSquaredError, M>(
      "normalized_squared_error", {1}, forward(a, b, filled(inverse_a), filled(inverse_b), filled(distance)),
      backward(a, b, inverse_a, inverse_b, distance, result_gradient, incoming(a), incoming(b)));
}

}  // namespace binllm
