// SPDX-License-Identifier: MIT
/// Vocabulary head and cross-entropy in one op, in chunks of rows (ops/chunked_head.hpp).
///
///     z[n,:] = h[n,:] w^T
///     loss   = (1/N) sum_n ( log sum_v e^{z[n,v]} - z[n,target_n] )
///
/// Shapes   h (...,C), w (V,C), targets (N) -> loss (1). w and the loss are in master_t of h's type.
/// Units    natural log, mean over the N rows.
/// Backward dz[n,v] = (softmax(z)[n,v] - [v = target_n]) / N
/// Errors   shape_mismatch, rank_unsupported, empty_tensor, token_out_of_range, foreign_tape.
///          The targets must outlive the tape's round.
/// Cost     6 N V C operations in backward; 2 N V C where the value is asked for without or before it.
/// Memory   one chunk of logits, at most LogitChunk::Limits::bytes where the vocabulary allows, and one of h.
/// `cross_entropy_of_rows` gives the N terms of the sum.
#pragma once
#include <binllm/ops/chunked_head.hpp>
#include <binllm/ops/softmax.hpp>

namespace binllm {

/// The row part: losses of rows of logits, which are overwritten by their gradient where it is wanted.
struct CrossEntropyRows {
  static constexpr bool with_teacher = false;

  struct Loss {  // (lse - z) [v = target]
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& z, const X& lse, const X& one_hot) const {
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
    [[nodiscard]] constexpr X operator()(const X& z, const X& lse, const X& one_hot) const {
      return weight * (formula::exp(X(z - lse)) - one_hot);
    }
  };
};

template <>
inline constexpr bool cuda::shipped<CrossEntropyRows> = true;
template <class Device>
struct GenericKernel<CrossEntropyRows, Device> {
  /// Elements of working memory for one chunk.
  static Index workspace(Index rows) { return 2 * rows; }

  /// losses[n] of each row; with `gradient`, logits become weight * d loss / d logits.
  template <class T, class M>
  static void forward(View<T, Device> logits, View<const std::int32_t, Device> targets, std::type_identity_t<M> weight,
                      bool gradient, View<M, Device> memory, View<M, Device> losses) {
    using B = Backend<Device>;
    const View<M, Device> most(memory.data, losses.shape), lse(memory.data + losses.size(), losses.shape);
    B::template row_reduce<Max>(most, logits.cols(), formula::Identity{}, elements(logits));
    B::template row_reduce<Sum>(lse, logits.cols(), Softmax::Exponential{}, elements(logits), per_row(most));
    B::map(lse, Softmax::LogSum{}, elements(lse), elements(most));
    const OneHot<M> target{targets.data};
    B::template row_reduce<Sum>(losses, logits.cols(), CrossEntropyRows::Loss{}, elements(logits), per_row(lse),
                                target);
    if (gradient) B::map(logits, CrossEntropyRows::Gradient<M>{weight}, elements(logits), per_row(lse), target);
  }
};

template <class T, class Device>
[[nodiscard]] Variable<master_t<T>, Device> cross_entropy(Variable<T, Device> h, Variable<master_t<T>, Device> w,
                                                          View<const std::int32_t, Device> targets) {
  detail::check_head<CrossEntropyRows>("cross_entropy", h, w, targets);
  return detail::chunked_head(CrossEntropyRows{}, h, w, targets);
}

/// The losses (N) of single rows, log sum_v e^{z[n,v]} - z[n,target_n]. No gradient goes through them.
template <class T, class Device>
[[nodiscard]] Variable<master_t<T>, Device> cross_entropy_of_rows(Variable<T, Device> h,
                                                                  Variable<master_t<T>, Device> w,
                                                                  View<const std::int32_t, Device> targets) {
  detail::check_head<CrossEntropyRows>("cross_entropy_of_rows", h, w, targets);
  return detail::row_losses(CrossEntropyRows{}, h, w, targets);
}

}  // namespace binllm

#include <binllm/ops/cpu/cross_entropy.hpp>
#if defined(__CUDACC__)
#include <binllm/ops/cuda/cross_entropy.cuh>
#endif
