// SPDX-License-Identifier: MIT
/// Stored form of two values that are not opposite: signs, a scale and an offset, of rows or of columns.
#pragma once
#include <binllm/nn/packed.hpp>
#include <binllm/policy/scale.hpp>

namespace binllm {

/// W_b = alpha sgn + beta. The product is that of packed signs with activations in float, and a shift:
///   of rows      y_n,i = alpha_i sum_j (+-1)_ij x_n,j  +  beta_i sum_j x_n,j
///   of columns   y_n,i = sum_j (+-1)_ij alpha_j x_n,j  +  sum_j beta_j x_n,j
template <Granularity granularity, class T, class Device>
struct ShiftedSignsMatrix {
  static_assert(granularity == Granularity::row || granularity == Granularity::column);
  static constexpr bool of_rows = granularity == Granularity::row;
  PackedSignsMatrix<FloatActivations, T, Device> signs;
  Tensor<T, Device> offset;

  template <class Form>
  ShiftedSignsMatrix(const Form& form, const LinearShape& s) : signs(form, s), offset(Shape{of_rows ? s.out : s.in}) {}
  /// Signs of `shifted` (out,in), sgn(0) = +1; alpha and beta, one for each row, or each column.
  void set(View<const T, Device> shifted, View<const T, Device> alpha, View<const T, Device> beta) {
    signs.weight.set_signs(shifted);
    offset.view().flat() = beta.flat();
    if constexpr (of_rows) {
      signs.weight.scale.view().flat() = alpha.flat();
    } else {
      signs.weight.scale.view().flat().setConstant(1);
      signs.weight.input_scale = Tensor<T, Device>(Shape{alpha.size()});
      signs.weight.input_scale.view().flat() = alpha.flat();
    }
  }

  struct Term {  // beta_j x_n,j
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& beta) const {
      return x * beta;
    }
  };
  struct Shift {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& y, const X& shift) const {
      return y + shift;
    }
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& y, const X& sum, const X& beta) const {
      return y + beta * sum;
    }
  };
  [[nodiscard]] Variable<T, Device> product(Pass<T, Device>& pass, Variable<T, Device> x) const {
    const auto y = signs.product(pass, signs.before(pass, x));
    return pass.tape.template compute<T>(
        y.shape(), [x, y, beta = read(offset.view()), tape = &pass.tape](View<T, Device> out) {
          using B = Backend<Device>;
          const View<T, Device> xs = x.value();
          const Temporary<T, Device> sums(*tape, Shape{xs.rows()});
          if constexpr (of_rows) {
            B::template row_reduce<Sum>(sums.view(), xs.cols(), formula::Identity{}, elements(xs));
            B::map(out, Shift{}, elements(y.value()), per_row(sums.view()), per_column(beta));
          } else {
            B::template row_reduce<Sum>(sums.view(), xs.cols(), Term{}, elements(xs), per_column(beta));
            B::map(out, Shift{}, elements(y.value()), per_row(sums.view()));
          }
        });
  }
  void dense(View<T, Device> w) const {
    signs.dense(w);
    for (Index i = 0; i < w.rows(); ++i) {
      if constexpr (of_rows) {
        w.row(i) += offset.view().data[i];
      } else {
        w.row(i) += offset.view().flat();
      }
    }
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("", self.signs...);
    v("offset", self.offset...);
  }
};

template <Granularity granularity>
struct ShiftedSigns {
  static constexpr bool of_rows = granularity == Granularity::row;
  static constexpr std::string_view name = of_rows ? "shifted-rows" : "shifted-columns";
  static constexpr std::string_view summary = of_rows ? "one bit a weight, a scale and an offset for each row"
                                                      : "one bit a weight, a scale and an offset for each column";
  static constexpr std::string_view layout = packed_layout;

  template <class T, class Device>
  using Matrix = ShiftedSignsMatrix<granularity, T, Device>;
};

static_assert(StoredForm<ShiftedSigns<Granularity::row>> && StoredForm<ShiftedSigns<Granularity::column>>);

}  // namespace binllm
