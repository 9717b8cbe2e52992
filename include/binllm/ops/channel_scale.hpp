// SPDX-License-Identifier: MIT
/// The ops of binary-aware initialisation (stage 1): a scale S_t = e^u > 0 for each input channel, learned as u.
///   channel_scale:  y[r,c] = x[r,c] e^{u[c]}
///   sign weight:    W_b[i,j] = S_i sgn(W[i,j]),   S_i = (1/n) sum_j |W[i,j]| e^{-u[j]}           (Eq. 8, 11)
/// The signs never change while u is learned, so the layer is smooth in u and no estimator is needed:
///   dS_i   = sum_j dW_b[i,j] sgn(W[i,j])
///   du[j] += -(1/n) e^{-u[j]} sum_i |W[i,j]| dS_i
///   du[c] += sum_r dy[r,c] y[r,c]
/// (n = number of input channels; exact derivative.) Scaling all S_t by one constant changes nothing: sum_j du[j] = 0.
/// Shapes   x (...,C), u (C), W (O,I).
/// Errors   shape_mismatch.
#pragma once
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/transient_linear.hpp>

namespace binllm {

struct ChannelScaling {
  static constexpr bool cheap = true;
  struct Value {  // x e^u
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& u) const {
      return x * formula::exp(u);
    }
  };
};

template <>
inline constexpr bool cuda::shipped<ChannelScaling> = true;
template <class Device>
struct GenericKernel<ChannelScaling, Device> {
  template <class T, class M>
  static void forward(View<const T, Device> x, View<const M, Device> u, View<T, Device> y) {
    Backend<Device>::map(y, ChannelScaling::Value{}, elements(x), per_column(u));
  }
  template <class T, class M>
  static void backward(View<const M, Device> u, View<const T, Device> y, View<const T, Device> dy, View<T, Device> dx,
                       View<M, Device> du) {
    using B = Backend<Device>;
    if (dx) B::template map<Write::accumulate>(dx, ChannelScaling::Value{}, elements(dy), per_column(u));
    if (du) B::column_reduce(du, dy.rows(), Multiply{}, elements(dy), elements(y));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> channel_scale(Variable<T, Device> x, Variable<master_t<T>, Device> u) {
  check_shape("channel_scale", "u", u.shape(), Shape{x.shape().cols()});
  return operation<ChannelScaling>("channel_scale", x.shape(), forward(x, u),
                                   backward(u, result_value, result_gradient, gradient(x), gradient(u)));
}

/// How S_t = e^u is moved into weights: w[:,c] /= S_c, w[r,:] *= S_r, w[:,c] *= S_c; and S itself.
struct DivideColumns {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& w, const X& u) const {
    return w * formula::exp(X(-u));
  }
};
struct MultiplyRows {};
struct MultiplyColumns {};
struct Exponential {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& u) const {
    return formula::exp(u);
  }
};

template <>
inline constexpr bool cuda::shipped<DivideColumns> = true;
template <class Device>
struct GenericKernel<DivideColumns, Device> {
  template <class T>
  static void forward(View<const T, Device> u, View<T, Device> w) {
    Backend<Device>::map(w, DivideColumns{}, elements(w), per_column(u));
  }
};
template <>
inline constexpr bool cuda::shipped<MultiplyRows> = true;
template <class Device>
struct GenericKernel<MultiplyRows, Device> {
  template <class T>
  static void forward(View<const T, Device> u, View<T, Device> w) {
    Backend<Device>::map(w, ChannelScaling::Value{}, elements(w), per_row(u));
  }
};
template <>
inline constexpr bool cuda::shipped<MultiplyColumns> = true;
template <class Device>
struct GenericKernel<MultiplyColumns, Device> {
  template <class T>
  static void forward(View<const T, Device> u, View<T, Device> w) {
    Backend<Device>::map(w, ChannelScaling::Value{}, elements(w), per_column(u));
  }
};
template <>
inline constexpr bool cuda::shipped<Exponential> = true;
template <class Device>
struct GenericKernel<Exponential, Device> {
  template <class T>
  static void forward(View<const T, Device> u, View<T, Device> scale) {
    Backend<Device>::map(scale, Exponential{}, elements(u));
  }
};

struct SignWeight {
  template <class T>
  struct Magnitude {  // |w| e^{-u} / n
    T weight;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& u) const {
      return weight * formula::abs(w) * formula::exp(X(-u));
    }
  };
  struct Signed {  // a sgn(w)
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& a) const {
      return a * formula::sign(w);
    }
  };
  template <class T>
  struct ChannelTerm {  // -|w| e^{-u} dS / n
    T weight;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& u, const X& ds) const {
      return -Magnitude<T>{weight}(w, u) * ds;
    }
  };
};

template <>
inline constexpr bool cuda::shipped<SignWeight> = true;
template <class Device>
struct GenericKernel<SignWeight, Device> {
  /// `row_scale` is one element a row of working memory, here and in backward.
  template <class T, class M>
  static void forward(View<const M, Device> w, View<const M, Device> u, View<M, Device> row_scale, View<T, Device> wb) {
    using B = Backend<Device>;
    B::template row_reduce<Sum>(row_scale, w.cols(), SignWeight::Magnitude<M>{M(1) / static_cast<M>(w.cols())},
                                elements(w), per_column(u));
    B::map(wb, SignWeight::Signed{}, elements(w), per_row(row_scale));
  }
  template <class T, class M>
  static void backward(View<const M, Device> w, View<const M, Device> u, View<const T, Device> dwb,
                       View<M, Device> row_scale, View<M, Device> du) {
    using B = Backend<Device>;
    B::template row_reduce<Sum>(row_scale, w.cols(), SignWeight::Signed{}, elements(w), elements(dwb));
    B::column_reduce(du, w.rows(), SignWeight::ChannelTerm<M>{M(1) / static_cast<M>(w.cols())}, elements(w),
                     per_column(u), per_row(row_scale));
  }
};

/// The weight function of transient_linear for a frozen W and a learned u.
template <class T, class Device>
struct SignWeightOf {
  using M = master_t<T>;
  View<const M, Device> weight;
  Variable<M, Device> u;
  Shape shape;

  SignWeightOf(View<const M, Device> frozen, Variable<M, Device> log_scale)
      : weight(frozen), u(log_scale), shape(frozen.shape) {
    check_shape("channel_scale", "u", u.shape(), Shape{weight.cols()});
  }
  [[nodiscard]] bool needs_gradient() const { return u.needs_gradient(); }
  template <class Use>
  void each_value(const Use& use) const {
    use(u);
  }
  void forward(Tape<Device>& tape, View<T, Device> wb) const {
    const Temporary<M, Device> row_scale(tape, Shape{weight.rows()});
    Kernel<SignWeight, Device>::forward(weight, read(u.value()), row_scale.view(), wb);
  }
  void backward(Tape<Device>& tape, View<const T, Device> dwb) const {
    const Temporary<M, Device> row_scale(tape, Shape{weight.rows()});
    Kernel<SignWeight, Device>::backward(weight, read(u.value()), dwb, row_scale.view(), u.gradient());
  }
};

}  // namespace binllm
