// SPDX-License-Identifier: MIT
/// The binarising op: a master weight and its scales become W_b, the weight that the layer multiplies with.
///   x = W / S_a,   W_b = S_l S_a E(x, t)                         dual scale (Eq. 9)
///   x = W / S_a,   W_b = S_a E(x, t)                             analytic scale
///   x = W / S_l,   W_b = S_l E(x, t)                             learned scale
/// E = value, E' = slope of the estimator; S_a = mean |W| of the scale group.
/// Shapes   W (O,I), S_l as the scale policy says -> W_b (O,I).   t: one number on the device, in [0, +inf].
/// Backward with g = dL/dW_b and n weights in a group:
///   dW_j  += S_l ( g_j E'(x_j) + [attached] sgn(W_j)/n * sum_i g_i (E(x_i) - x_i E'(x_i)) )
///   dS_l  += S_a sum_i g_i E(x_i)                (learned scale: sum_i g_i (E(x_i) - x_i E'(x_i)))
/// Recomputes E, saves nothing. A group of zeros has value zero and gradient zero.
/// Cost     forward two passes over W, backward four; on the CPU, where scale groups lie side by side in memory, both
///          read W once and keep a group in the cache (ops/cpu/binarize.hpp).
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/fast/estimators.hpp>
#include <binllm/policy/scale.hpp>
#include <binllm/policy/scale_group.hpp>

#include <array>

namespace binllm {

/// S_a alone: the mean of |W| over each scale group.
struct MeanMagnitude {
  template <class T>
  struct Magnitude {
    T weight;  // 1/n: the reduction becomes a mean
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w) const {
      return weight * formula::abs(w);
    }
  };
};

/// Formulas of the op for an estimator E over scalars T; `t` points to device memory and is read when the kernel runs.
template <Estimator E, class S>
struct Binarize {
  using T = typename E::value_type;

  using Magnitude = MeanMagnitude::Magnitude<T>;
  /// Of S and S_o: 1/S, factor and gain (policy/scale_group.hpp).
  struct GroupNumbers {
    template <class X>
    [[nodiscard]] constexpr std::array<X, 3> operator()(const X& s, const X& s_o) const {
      const ScaleGroup<X> group = scale_group(s, s_o);
      return {group.reciprocal, group.factor, group.gain};
    }
  };
  struct Value {  // factor * E(w / s)
    E estimator;
    const double* t;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& reciprocal, const X& factor) const {
      return factor * value_of(estimator, X(w * reciprocal), static_cast<T>(*t));
    }
  };
  struct ValueTerm {  // g E(x)
    E estimator;
    const double* t;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& g, const X& reciprocal) const {
      return g * value_of(estimator, X(w * reciprocal), static_cast<T>(*t));
    }
  };
  struct ScaleTerm {  // g (E(x) - x E'(x)): how W_b answers to its analytic scale
    E estimator;
    const double* t;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& g, const X& reciprocal) const {
      const X x = w * reciprocal;
      return g * (value_of(estimator, x, static_cast<T>(*t)) - x * slope_of(estimator, x, static_cast<T>(*t)));
    }
  };
  struct WeightGradient {  // S_l ( g E'(x) + sgn(w)/n sum )
    E estimator;
    const double* t;
    T weight;  // 1/n
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& g, const X& reciprocal, const X& gain,
                                         const X& sum) const {
      const X direct = g * slope_of(estimator, X(w * reciprocal), static_cast<T>(*t));
      return gain * (direct + formula::abs_slope(w) * (weight * sum));
    }
  };
  struct Product {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
      return a * b;
    }
  };
  struct IfAlive {  // x, and 0 for a group of zeros
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& s) const {
      return x * scale_group(s, s).alive;
    }
  };
};

/// A weight matrix as its scale groups see it: one group a row (of the block reshaped), or one group a column.
/// Where the scale policy S fixes the granularity at compile time, only that way is compiled.
template <class Device, class S = void>
struct GroupedBlock {
  static constexpr bool may_be(bool column) {
    if constexpr (StaticScale<S>) {
      return (S::traits().granularity == Granularity::column) == column;
    } else {
      return true;
    }
  }

  using B = Backend<Device>;
  bool by_column;
  Index groups, members;  ///< groups of `members` weights each
  Shape shape;

  GroupedBlock(const ScaleTraits& traits, const Shape& weight)
      : by_column(traits.granularity == Granularity::column),
        groups(traits.shape(weight[0], weight[1]).size()),
        members(weight.size() / groups),
        shape(by_column ? weight : Shape{groups, members}) {}

  template <class T>
  [[nodiscard]] auto block(View<T, Device> weight) const {
    return weight.reshaped(shape);
  }
  /// Calls body(by_group), where by_group(view) is the operand that gives each weight the value of its group.
  template <class Body>
  void with_groups(const Body& body) const {
    if constexpr (may_be(true)) {
      if (by_column) return body([](auto view) { return per_column(view); });
    }
    if constexpr (may_be(false)) body([](auto view) { return per_row(view); });
  }
  /// out[group] = sum of f over its weights.
  template <class T, class F, class... In>
  void sum(View<T, Device> out, F f, In... in) const {
    if constexpr (may_be(true)) {
      if (by_column) {
        B::zero(out.data, static_cast<std::size_t>(groups) * sizeof(T));
        return B::column_reduce(out, members, f, in...);
      }
    }
    if constexpr (may_be(false)) B::template row_reduce<Sum>(out, members, f, in...);
  }
};

template <>
inline constexpr bool cuda::shipped<MeanMagnitude> = true;
template <class Device>
struct GenericKernel<MeanMagnitude, Device> {
  /// One number a group, whatever the shape of `mean`.
  template <class T>
  static void forward(const ScaleTraits& traits, View<const T, Device> w, View<T, Device> mean) {
    const GroupedBlock<Device> grouped(traits, w.shape);
    grouped.sum(mean.reshaped(Shape{grouped.groups}),
                MeanMagnitude::Magnitude<T>{T(1) / static_cast<T>(grouped.members)}, elements(grouped.block(w)));
  }
};

template <Estimator E, class S, class Device>
struct GenericKernel<Binarize<E, S>, Device> {
  using T = typename E::value_type;
  using Op = Binarize<E, S>;
  using B = Backend<Device>;
  using Out = View<T, Device>;
  using In = View<const T, Device>;

  /// Elements of working memory for a weight of this shape.
  static Index workspace(const S& scale, const Shape& weight) {
    return 5 * GroupedBlock<Device, S>(scale.traits(), weight).groups;
  }

  /// W_b and its gradient are in the type that the layer computes in.
  template <class C>
  static void forward(const E& estimator, const S& scale, In w, In learned, const double* t, Out memory,
                      View<C, Device> wb) {
    const GroupedBlock<Device, S> grouped(scale.traits(), w.shape);
    const Groups group = prepare(scale.traits(), grouped, w, learned, memory);
    grouped.with_groups([&](auto by_group) {
      B::map(grouped.block(wb), typename Op::Value{estimator, t}, elements(grouped.block(w)),
             by_group(group.reciprocal), by_group(group.factor));
    });
  }

  template <class C>
  static void backward(const E& estimator, const S& scale, In w, In learned, const double* t, View<const C, Device> g,
                       Out memory, Out dw, Out dlearned) {
    const ScaleTraits traits = scale.traits();
    const GroupedBlock<Device, S> grouped(traits, w.shape);
    const Groups group = prepare(traits, grouped, w, learned, memory);
    const auto weights = elements(grouped.block(w));
    const auto gradients = elements(grouped.block(g));
    if (!traits.learned) dlearned = {};  // the gradient of an empty leaf is a block that holds nothing
    grouped.with_groups([&](auto by_group) {
      const auto reciprocal = by_group(group.reciprocal);
      if (dlearned && traits.analytic) {  // dS_l += S_a sum g E
        grouped.sum(group.sum, typename Op::ValueTerm{estimator, t}, weights, gradients, reciprocal);
        B::template map<Write::accumulate>(dlearned.reshaped(group.sum.shape), typename Op::Product{},
                                           elements(group.scale), elements(group.sum));
      }
      if (traits.attached || !traits.analytic) {
        grouped.sum(group.sum, typename Op::ScaleTerm{estimator, t}, weights, gradients, reciprocal);
      }
      if (dlearned && !traits.analytic) {  // dS_l += sum g (E - x E')
        B::template map<Write::accumulate>(dlearned.reshaped(group.sum.shape), typename Op::IfAlive{},
                                           elements(group.sum), elements(group.scale));
      }
      if (!dw) return;
      if (!traits.attached || !traits.analytic)
        B::zero(group.sum.data, static_cast<std::size_t>(grouped.groups) * sizeof(T));
      B::template map<Write::accumulate>(
          grouped.block(dw), typename Op::WeightGradient{estimator, t, T(1) / static_cast<T>(grouped.members)}, weights,
          gradients, reciprocal, by_group(group.gain), by_group(group.sum));
    });
  }

 private:
  /// One number of each kind for every scale group.
  struct Groups {
    Out scale;                     // S: S_a, or S_l where nothing is analytic
    Out reciprocal, factor, gain;  // as in ScaleGroup
    Out sum;                       // a reduction over the group
  };
  static Groups prepare(const ScaleTraits& traits, const GroupedBlock<Device, S>& grouped, In w, In learned,
                        Out memory) {
    const auto part = [&](Index k) { return Out(memory.data + k * grouped.groups, Shape{grouped.groups}); };
    const Groups group{part(0), part(1), part(2), part(3), part(4)};
    if (traits.analytic) {
      grouped.sum(group.scale, typename Op::Magnitude{T(1) / static_cast<T>(grouped.members)},
                  elements(grouped.block(w)));
    } else {
      B::copy(group.scale.data, learned.data, static_cast<std::size_t>(grouped.groups) * sizeof(T));
    }
    const std::array numbers{Target<T>(group.reciprocal), Target<T>(group.factor), Target<T>(group.gain)};
    if (traits.analytic && traits.learned) {
      B::map(numbers, typename Op::GroupNumbers{}, elements(group.scale),
             elements(learned.reshaped(group.scale.shape)));
    } else {
      B::map(numbers, typename Op::GroupNumbers{}, elements(group.scale), Constant<T>{T(1)});
    }
    return group;
  }
};

/// W_b as a variable, for tests and teaching; layers use transient_linear, which keeps W_b only while it multiplies.
/// `learned` is S_l (an empty variable's shape (0) where the policy learns nothing).
/// Errors: shape_mismatch, rank_unsupported, empty_tensor.
template <Estimator E, Scale S, class Device>
[[nodiscard]] Variable<typename E::value_type, Device> binarize_weight(Variable<typename E::value_type, Device> w,
                                                                       Variable<typename E::value_type, Device> learned,
                                                                       View<const double, Device> t, E estimator = {},
                                                                       S scale = {}) {
  check_rank("binarize_weight", "w", w.shape(), 2);
  check_not_empty("binarize_weight", "w", w.shape());
  const ScaleTraits traits = scale.traits();
  check_shape("binarize_weight", "learned", learned.shape(),
              traits.learned ? traits.shape(w.shape()[0], w.shape()[1]) : Shape{0});
  const auto memory = working<typename E::value_type>({Kernel<Binarize<E, S>, Device>::workspace(scale, w.shape())});
  return operation<Binarize<E, S>>(
      "binarize_weight", w.shape(), forward(estimator, scale, w, learned, t.data, memory),
      backward(estimator, scale, w, learned, t.data, result_gradient, memory, gradient(w), gradient(learned)));
}

}  // namespace binllm

#include <binllm/ops/cpu/binarize.hpp>
#include <binllm/ops/cuda/binarize.hpp>
#if defined(__CUDACC__)
#include <binllm/ops/cuda/binarize.cuh>
#endif
