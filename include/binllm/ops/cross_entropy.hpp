// SPDX-License-Identifier: MIT
/// Vocabulary head and cross-entropy in one op, computed in chunks of rows so that the logits are never whole.
///   z[n,:] = h[n,:] w^T,   loss = (1/N) sum_n ( log sum_v e^{z[n,v]} - z[n,target_n] )
/// Shapes   h (...,C), w (V,C), targets (N) -> loss (1).   Units: natural log, mean over the N rows.
/// Backward dz[n,v] = (softmax(z)[n,v] - [v = target_n]) / N;  dh += dz w;  dw += dz^T h.
///          Both are computed in forward, chunk by chunk while the logits are at hand, and only scaled and added in
///          backward: that saves one of the head's four products. Saves dh and dw.
/// Errors   shape_mismatch, empty_tensor, token_out_of_range.   Memory: one chunk of logits, dh, dw.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/softmax.hpp>

#include <algorithm>
#include <cstdint>

namespace binllm {

/// The row part: losses of rows of logits, which are overwritten by their gradient where it is wanted.
struct CrossEntropy {
  static constexpr Index chunk_rows = 256;
  struct Loss {  // (lse - z) [v = target]
    template <class X>
    [[nodiscard]] X operator()(const X& z, const X& lse, const X& one_hot) const {
      if constexpr (formula::is_pack<X>) {  // a masked logit of -inf off target must not turn 0 * inf into NaN
        return (one_hot > formula::lane_t<X>(0)).select(lse - z, X::Zero());
      } else {
        return one_hot > X(0) ? lse - z : X(0);
      }
    }
  };
  template <class T>
  struct Gradient {  // weight ( e^{z - lse} - [v = target] )
    T weight;
    template <class X>
    [[nodiscard]] X operator()(const X& z, const X& lse, const X& one_hot) const {
      return weight * (formula::exp(X(z - lse)) - one_hot);
    }
  };
};

template <class Device>
struct GenericKernel<CrossEntropy, Device> {
  /// Elements of working memory for one chunk.
  static Index workspace(Index rows) { return 2 * rows; }

  /// losses[n] of each row; with `gradient`, logits become weight * d loss / d logits.
  template <class T>
  static void forward(View<T, Device> logits, View<const std::int32_t, Device> targets, T weight, bool gradient,
                      View<T, Device> memory, View<T, Device> losses) {
    using B = Backend<Device>;
    const View<T, Device> most(memory.data, losses.shape), lse(memory.data + losses.size(), losses.shape);
    B::template row_reduce<Max>(most, logits.cols(), formula::Identity{}, elements(logits));
    B::template row_reduce<Sum>(lse, logits.cols(), Softmax::Exponential{}, elements(logits), per_row(most));
    B::map(lse, Softmax::LogSum{}, elements(lse), elements(most));
    const OneHot<T> target{targets.data};
    B::template row_reduce<Sum>(losses, logits.cols(), CrossEntropy::Loss{}, elements(logits), per_row(lse), target);
    if (gradient) B::map(logits, CrossEntropy::Gradient<T>{weight}, elements(logits), per_row(lse), target);
  }
};

/// The whole op, `losses` one number a row.
struct VocabularyLoss {};

template <class Device>
struct GenericKernel<VocabularyLoss, Device> {
  /// One chunk of logits and the working memory of its rows.
  template <class T>
  static void forward(View<const T, Device> h, View<const T, Device> w, View<const std::int32_t, Device> targets,
                      View<T, Device> logits, View<T, Device> memory, View<T, Device> losses, View<T, Device> dh,
                      View<T, Device> dw) {
    using B = Backend<Device>;
    const Index rows = h.rows(), chunk = logits.rows();
    const T weight = T(1) / static_cast<T>(rows);
    for (Index first = 0; first < rows; first += chunk) {
      const Index count = std::min(chunk, rows - first);
      const auto part = h.middle_rows(first, count);
      const auto z = logits.middle_rows(0, count);
      B::gemm(Product::nt, part, w, z);
      Kernel<CrossEntropy, Device>::forward(z, View<const std::int32_t, Device>(targets.data + first, Shape{count}),
                                            weight, dh || dw, memory,
                                            View<T, Device>(losses.data + first, Shape{count}));
      if (dh) B::gemm(Product::nn, read(z), w, dh.middle_rows(first, count));
      if (dw && first == 0) B::gemm(Product::tn, read(z), part, dw);
      if (dw && first > 0) B::template gemm<Write::accumulate>(Product::tn, read(z), part, dw);
    }
  }
  template <class T>
  static void backward(View<const T, Device> saved, View<const T, Device> dy, View<T, Device> gradient) {
    if (gradient) Backend<Device>::template map<Write::accumulate>(gradient, Multiply{}, elements(saved), uniform(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> cross_entropy(Variable<T, Device> h, Variable<T, Device> w,
                                                View<const std::int32_t, Device> targets) {
  check_same_tape("cross_entropy", h, w);
  check_not_empty("cross_entropy", "h", h.shape());
  check_rank("cross_entropy", "w", w.shape(), 2);
  check_cols("cross_entropy", "h", h.shape(), w.shape()[1]);
  check_shape("cross_entropy", "targets", Shape{targets.size()}, Shape{h.shape().rows()});
  check_token_ids("cross_entropy", targets, w.shape()[0]);
  using K = Kernel<VocabularyLoss, Device>;
  Tape<Device>& tape = h.tape();
  const Index rows = h.shape().rows(), chunk = std::min(rows, CrossEntropy::chunk_rows);
  auto loss = tape.template make<T>({1});
  const auto saved = [&](const Variable<T, Device>& x) {
    return x.needs_gradient() ? tape.template make<T>(x.shape()).value() : View<T, Device>{};
  };
  const View<T, Device> dh = saved(h), dw = saved(w);
  {
    const Temporary<T, Device> losses(tape, Shape{rows}), logits(tape, Shape{chunk, w.shape()[0]});
    const Temporary<T, Device> memory(tape, Shape{Kernel<CrossEntropy, Device>::workspace(chunk)});
    K::forward(read(h.value()), read(w.value()), targets, logits.view(), memory.view(), losses.view(), dh, dw);
    Backend<Device>::template row_reduce<Sum>(loss.value(), rows, Times<T>{T(1) / static_cast<T>(rows)},
                                              per_column(losses.view()));
  }
  tape.on_backward(
      loss,
      [=] {
        const auto dy = read(loss.gradient());
        K::backward(read(dh), dy, h.gradient());
        K::backward(read(dw), dy, w.gradient());
      },
      h, w);
  return loss;
}

}  // namespace binllm

#include <binllm/ops/cpu/cross_entropy.hpp>
