// SPDX-License-Identifier: MIT
/// Rotary position embedding (Su et al., arXiv 2104.09864) in Hugging Face's layout: dimension j of a head
/// rotates with j + R/2, by the angle position * frequency_j. Dimensions from R on pass through.
///   y_j       = x_j cos - x_{j+R/2} sin
///   y_{j+R/2} = x_{j+R/2} cos + x_j sin,        frequency_j = theta^{-2j/R}
/// Shapes   x (B,T,H*D), angles (positions, R/2) as cosine and sine -> y (B,T,H*D); R <= D, at most all of a head.
///          Token t of a row has position first + t.
/// Backward the rotation by the opposite angle.   Saves nothing.
/// Errors   rank_unsupported, shape_mismatch, index_out_of_range beyond the last tabulated position.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

#include <array>
#include <cmath>
#include <vector>

namespace binllm {

/// Cosines and sines of position * frequency, tabulated once per model.
template <class T, class Device>
struct RotaryTable {
  Tensor<T, Device> cosine, sine;  ///< (positions, R/2)
  RotaryTable() = default;
  RotaryTable(Index positions, const std::vector<double>& frequencies) {
    const Shape shape{positions, static_cast<Index>(frequencies.size())};
    Tensor<T> c(shape), s(shape);
    for (Index p = 0; p < positions; ++p) {
      for (Index j = 0; j < shape[1]; ++j) {
        const double angle = static_cast<double>(p) * frequencies[static_cast<std::size_t>(j)];
        c.view().row(p)[j] = static_cast<T>(std::cos(angle));
        s.view().row(p)[j] = static_cast<T>(std::sin(angle));
      }
    }
    const std::size_t bytes = static_cast<std::size_t>(shape.size()) * sizeof(T);
    cosine = Tensor<T, Device>(shape);
    sine = Tensor<T, Device>(shape);
    Backend<Device>::copy(cosine.view().data, c.view().data, bytes);
    Backend<Device>::copy(sine.view().data, s.view().data, bytes);
  }
};

/// Errors: index_out_of_range unless positions [first, first + count) are tabulated.
template <class T, class Device>
void check_positions(const RotaryTable<T, Device>& table, Index first, Index count) {
  const Index positions = table.cosine.shape()[0];
  if (first >= 0 && first + count <= positions) return;
  throw Error(ErrorId::index_out_of_range, "rotary", "position", message("at most {} positions", positions),
              message("{}", first + count));
}

struct Rotary {
  static constexpr bool cheap = true;
  /// floor(n / divisor) for 0 <= n < 2^50. Many times faster than to divide integers; and exact, since n + 1/2 is half
  /// a step from every multiple of the divisor, much more than the rounding of the product.
  struct Quotient {
    Index divisor;
    double inverse = 1.0 / static_cast<double>(divisor);
    [[nodiscard]] constexpr Index operator()(Index n) const {
      return static_cast<Index>((static_cast<double>(n) + 0.5) * inverse);
    }
  };
  struct Rotate {  // a pair (a, b), by an angle
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& a, const X& b, const X& cosine, const X& sine) const {
      return {a * cosine - b * sine, b * cosine + a * sine};
    }
  };
  struct RotateBack {
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& a, const X& b, const X& cosine, const X& sine) const {
      return {a * cosine + b * sine, b * cosine - a * sine};
    }
  };
  /// Row n of x is head n % heads of token n / heads, whose position is first + token % length.
  template <class T>
  struct ByPosition {
    Elements<T> table;
    Quotient by_heads, by_length;
    Index first;
    template <class X>
    [[nodiscard]] constexpr X load(Index row, Index col) const {
      return table.template load<X>(position(row), col);
    }
    template <class X>
    [[nodiscard]] constexpr X load_part(Index row, Index col, Index count) const {
      return table.template load_part<X>(position(row), col, count);
    }
    [[nodiscard]] constexpr const T* address(Index row, Index col) const { return table.address(position(row), col); }
    [[nodiscard]] bool aligned(Index n) const { return table.aligned(n); }
    [[nodiscard]] constexpr Index position(Index row) const {
      const Index token = by_heads(row);
      return first + token - by_length(token) * by_length.divisor;
    }
  };
};

template <>
inline constexpr bool cuda::shipped<Rotary> = true;
template <class Device>
struct GenericKernel<Rotary, Device> {
  /// cosine and sine are master_t<T>; a head has `head_dim` dimensions.
  template <class T, class M>
  static void forward(View<const T, Device> x, View<const M, Device> cosine, View<const M, Device> sine, Index first,
                      Index head_dim, View<T, Device> y) {
    rotate<Write::assign, Rotary::Rotate>(x, cosine, sine, first, head_dim, Gradient<T, Device>(y));
  }
  template <class T, class M>
  static void backward(View<const M, Device> cosine, View<const M, Device> sine, Index first, Index head_dim,
                       View<const T, Device> dy, Into<T, Device> dx) {
    rotate<Write::accumulate, Rotary::RotateBack>(dy, cosine, sine, first, head_dim, dx);
  }

 private:
  template <Write mode, class Formula, class T, class M>
  static void rotate(View<const T, Device> x, View<const M, Device> cosine, View<const M, Device> sine, Index first,
                     Index head_dim, Gradient<T, Device> to) {
    using B = Backend<Device>;
    T* const y = to.view.data;
    const Index half = cosine.cols(), rest = head_dim - 2 * half;
    const Index heads = x.cols() / head_dim, rows = x.size() / head_dim, length = x.shape[1];
    const Elements<T> lower{x.data, head_dim}, upper{x.data + half, head_dim};
    const Rotary::ByPosition<M> c{elements(cosine), {heads}, {length}, first},
        s{elements(sine), {heads}, {length}, first};
    const std::array halves{Target<T>(y, rows, half, head_dim, to.fresh),
                            Target<T>(y + half, rows, half, head_dim, to.fresh)};
    B::template map<mode>(halves, Formula{}, lower, upper, c, s);
    if (rest == 0) return;
    B::template map<mode>(Target<T>(y + 2 * half, rows, rest, head_dim, to.fresh), formula::Identity{},
                          Elements<T>{x.data + 2 * half, head_dim});
  }
};

/// Heads of `head_dim` dimensions; 0: all of them rotate, R = D.
template <class T, class Device>
[[nodiscard]] Variable<T, Device> rotary(Variable<T, Device> x, const RotaryTable<master_t<T>, Device>& table,
                                         Index first = 0, Index head_dim = 0) {
  check_rank("rotary", "x", x.shape(), 3);
  const Index rotated = 2 * table.cosine.shape().cols();
  if (head_dim == 0) head_dim = rotated;
  if (head_dim < rotated) check_cols("rotary", "table", table.cosine.shape(), head_dim / 2);
  if (x.shape().cols() % head_dim != 0) check_cols("rotary", "x", x.shape(), x.shape().cols() / head_dim * head_dim);
  check_positions(table, first, x.shape()[1]);
  const auto cosine = read(table.cosine.view()), sine = read(table.sine.view());
  return operation<Rotary>("rotary", x.shape(), forward(x, cosine, sine, first, head_dim),
                           backward(cosine, sine, first, head_dim, result_gradient, incoming(x)));
}

}  // namespace binllm
