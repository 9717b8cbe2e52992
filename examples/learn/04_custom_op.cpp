// SPDX-License-Identifier: MIT
// An op of one's own: equations, a kernel on the services of a device, one declaration, and a check of its gradient.
#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/autodiff/operation.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/ops/multiply.hpp>

#include <fmt/core.h>

namespace bl = binllm;

/// Rows divided by their length:   y = x / |x|          dx = (dy - (dy . y) y) / |x|
struct UnitRows {
  struct Square {
    template <class X>
    constexpr X operator()(const X& x) const {
      return x * x;
    }
  };
  struct TimesInverseRoot {
    template <class X>
    constexpr X operator()(const X& x, const X& square) const {
      return x / bl::formula::sqrt(square);
    }
  };
  struct Gradient {
    template <class X>
    constexpr X operator()(const X& y, const X& dy, const X& dot, const X& square) const {
      return (dy - dot * y) / bl::formula::sqrt(square);
    }
  };
};
template <class Device>
struct bl::GenericKernel<UnitRows, Device> {
  using B = Backend<Device>;
  template <class T>
  static void forward(View<const T, Device> x, View<T, Device> square, View<T, Device> y) {
    B::template row_reduce<Sum>(square, x.cols(), UnitRows::Square{}, elements(x));
    B::map(y, UnitRows::TimesInverseRoot{}, elements(x), per_row(square));
  }
  template <class T>
  static void backward(View<const T, Device> y, View<const T, Device> dy, View<const T, Device> square,
                       View<T, Device> dot, View<T, Device> dx) {
    B::template row_reduce<Sum>(dot, y.cols(), Multiply{}, elements(y), elements(dy));
    B::template map<Write::accumulate>(dx, UnitRows::Gradient{}, elements(y), elements(dy), per_row(dot),
                                       per_row(square));
  }
};
template <class T, class Device>
bl::Variable<T, Device> unit_rows(bl::Variable<T, Device> x) {
  const auto square = bl::saved<T>(x.tape(), {x.shape().rows()});
  return bl::operation<UnitRows>(
      "unit_rows", x.shape(), bl::forward(x, filled(square)),
      bl::backward(bl::result_value, bl::result_gradient, square, bl::working<T>({x.shape().rows()}), bl::gradient(x)));
}

int main() {
  bl::Tensor<double> rows({4, 2});
  rows.view().flat() << 1.5, 0.5, -0.4, 1.2, -1.0, -0.8, 0.6, -0.6;
  const auto loss = [](auto& tape, auto x) {
    return bl::mean_squared_error(unit_rows(x), tape.template constant<double>({{1, 0}, {1, 0}, {1, 0}, {1, 0}}));
  };
  bl::Tape tape;
  const auto x = tape.variable(read(rows.view()));
  tape.backward(loss(tape, x));
  fmt::print("     x1      x2      dx1      dx2    x . dx\n");
  for (bl::Index i = 0; i < 4; ++i) {
    const auto at = x.value().row(i), d = x.gradient().row(i);
    fmt::print("{:7.2f} {:7.2f} {:8.4f} {:8.4f}   {:.5f}\n", at[0], at[1], d[0], d[1], std::abs((at * d).sum()));
  }
  fmt::print("check: gradient error below 1e-8: {}\n", bl::gradcheck(loss, rows).relative < 1e-8);
}
