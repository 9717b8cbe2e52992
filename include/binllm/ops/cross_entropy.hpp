// SPDX-License-Identifier: MIT
/// Vocabulary head and cross-entropy in one op, computed in chunks of rows so that the logits are never whole.
///   z[n,:] = h[n,:] w^T,   loss = (1/N) sum_n ( log sum_v e^{z[n,v]} - z[n,target_n] )
/// Shapes   h (...,C), w (V,C), targets (N) -> loss (1). w and the loss are in master_t of h's type.
/// Units    natural log, mean over the N rows.
/// Backward
///   dz[n,v] = (softmax(z)[n,v] - [v = target_n]) / N;   dh += dy dz w;   dw += dz^T (dy h)
/// The loss is deferred: in training one pass over the chunks, in backward, computes logits, loss and both gradients,
/// which go straight to where they belong; dy multiplies the narrow factors. Where the value is asked for first, a pass
/// of its own computes the loss alone.
/// Saves    h and w (by view), nothing else. The targets must outlive the tape's round.
/// Errors   shape_mismatch, empty_tensor, token_out_of_range.
/// Cost     6 N V C operations in backward; 2 N V C where the value is asked for without or before it.
/// Memory   one chunk of logits, at most ChunkLimits::bytes where the vocabulary allows, and one of h.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/in_compute_type.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/softmax.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace binllm {

/// The row part: losses of rows of logits, which are overwritten by their gradient where it is wanted.
struct CrossEntropy {
  /// How many rows of logits are computed at a time on a device.
  template <class Device>
  struct ChunkLimits {
    static constexpr Index fewest_rows = 32, most_rows = 512, bytes = Index(64) << 20;
  };
  /// As many as ChunkLimits::bytes hold, in chunks of nearly equal size.
  template <class Device>
  [[nodiscard]] static Index chunk(Index rows, Index words, std::size_t scalar_bytes) {
    using Limits = ChunkLimits<Device>;
    const Index fitting = Limits::bytes / (words * static_cast<Index>(scalar_bytes)) / 16 * 16;
    const Index most = std::clamp(fitting, Limits::fewest_rows, Limits::most_rows), chunks = (rows + most - 1) / most;
    return std::min(rows, ((rows + chunks - 1) / chunks + 15) / 16 * 16);
  }
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
inline constexpr bool cuda::shipped<CrossEntropy> = true;
template <class Device>
struct GenericKernel<CrossEntropy, Device> {
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
    B::template row_reduce<Sum>(losses, logits.cols(), CrossEntropy::Loss{}, elements(logits), per_row(lse), target);
    if (gradient) B::map(logits, CrossEntropy::Gradient<M>{weight}, elements(logits), per_row(lse), target);
  }
};

/// The whole op.
struct VocabularyLoss {
  /// Working memory: one chunk of logits, one of h, the losses of all rows, and what the row kernel wants.
  template <class T, class Device>
  struct Room {
    View<T, Device> logits, hidden;
    View<master_t<T>, Device> losses, rows;
  };
};

template <>
inline constexpr bool cuda::shipped<VocabularyLoss> = true;
template <class Device>
struct GenericKernel<VocabularyLoss, Device> {
  template <class T>
  using Room = VocabularyLoss::Room<T, Device>;

  template <class T>
  static void forward(View<const T, Device> h, View<const T, Device> w, View<const std::int32_t, Device> targets,
                      const Room<T>& room, View<master_t<T>, Device> loss) {
    over_chunks(h, w, targets, room, false, loss, [](View<const T, Device>, View<const T, Device>, Index) {});
  }
  /// Adds to dh and dw, and writes the loss too.
  template <class T>
  static void backward(View<const T, Device> h, View<const T, Device> w, View<const std::int32_t, Device> targets,
                       View<const master_t<T>, Device> dy, const Room<T>& room, View<master_t<T>, Device> loss,
                       Into<T, Device> dh, View<master_t<T>, Device> dw) {
    using B = Backend<Device>;
    const auto gradients = [&](View<const T, Device> dz, View<const T, Device> part, Index first) {
      const auto hidden = room.hidden.middle_rows(0, part.rows());
      if (dw) {
        B::map(hidden, Multiply{}, elements(part), uniform(dy));
        B::gemm(Product::tn, dz, read(hidden), dw, Write::accumulate);
      }
      if (dh) {
        B::gemm(Product::nn, dz, w, hidden);
        const Gradient<T, Device> rows(dh.view.middle_rows(first, part.rows()), dh.fresh);
        B::template map<Write::accumulate>(Target<T>(rows), Multiply{}, elements(hidden), uniform(dy));
      }
    };
    over_chunks(h, w, targets, room, true, loss, gradients);
  }

 private:
  /// Calls body(dz or what is left of the logits, rows of h, their first) for each chunk; then writes the loss.
  template <class T, class Body>
  static void over_chunks(View<const T, Device> h, View<const T, Device> w, View<const std::int32_t, Device> targets,
                          const Room<T>& room, bool gradient, View<master_t<T>, Device> loss, const Body& body) {
    using B = Backend<Device>;
    const Index rows = h.rows(), chunk = room.logits.rows();
    using M = master_t<T>;
    const M weight = M(1) / static_cast<M>(rows);
    for (Index first = 0; first < rows; first += chunk) {
      const Index count = std::min(chunk, rows - first);
      const auto part = h.middle_rows(first, count);
      const auto z = room.logits.middle_rows(0, count);
      B::gemm(Product::nt, part, w, z);
      Kernel<CrossEntropy, Device>::forward(z, View<const std::int32_t, Device>(targets.data + first, Shape{count}),
                                            weight, gradient, room.rows,
                                            View<M, Device>(room.losses.data + first, Shape{count}));
      body(read(z), part, first);
    }
    B::template row_reduce<Sum>(loss, rows, Times<M>{weight}, per_column(read(room.losses)));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<master_t<T>, Device> cross_entropy(Variable<T, Device> h, Variable<master_t<T>, Device> w,
                                                          View<const std::int32_t, Device> targets) {
  check_same_tape("cross_entropy", h, w);
  check_not_empty("cross_entropy", "h", h.shape());
  check_rank("cross_entropy", "w", w.shape(), 2);
  check_cols("cross_entropy", "h", h.shape(), w.shape()[1]);
  check_shape("cross_entropy", "targets", Shape{targets.size()}, Shape{h.shape().rows()});
  check_token_ids("cross_entropy", targets, w.shape()[0]);
  using K = Kernel<VocabularyLoss, Device>;
  using M = master_t<T>;
  const Index rows = h.shape().rows(), chunk = CrossEntropy::chunk<Device>(rows, w.shape()[0], sizeof(T));
  const auto with_room = [=](const auto& body) {
    const Temporary<T, Device> logits(h.tape(), Shape{chunk, w.shape()[0]}), hidden(h.tape(), {chunk, w.shape()[1]});
    const Temporary<M, Device> losses(h.tape(), Shape{rows});
    const Temporary<M, Device> memory(h.tape(), Shape{Kernel<CrossEntropy, Device>::workspace(chunk)});
    body(VocabularyLoss::Room<T, Device>{logits.view(), hidden.view(), losses.view(), memory.view()});
  };
  auto loss = h.tape().template deferred<M>({1}, [=](View<M, Device> out) {
    const auto hidden = read(h.value());
    const InComputeType<T, Device> weight(h.tape(), read(w.value()));
    with_room([&](const auto& room) { K::forward(hidden, weight.view(), targets, room, out); });
  });
  loss.tape().on_backward(
      loss,
      [=] {
        const auto hidden = read(h.value());
        const InComputeType<T, Device> weight(h.tape(), read(w.value()));
        const auto dw = w.gradient();  // zeroed before dh is asked for: h may be w, and dw is added to first
        const auto dh = h.incoming();
        with_room([&](const auto& room) {
          K::backward(hidden, weight.view(), targets, read(loss.gradient()), room, loss.room(), dh, dw);
        });
      },
      h, w);
  return loss;
}

}  // namespace binllm

#include <binllm/ops/cpu/cross_entropy.hpp>
#include <binllm/ops/cuda/cross_entropy.hpp>
#if defined(__CUDACC__)
#include <binllm/ops/cuda/cross_entropy.cuh>
#endif
