// SPDX-License-Identifier: MIT
/// A vocabulary head and a loss over its logits in one op, computed in chunks of rows so that logits are never whole,
/// neither the model's own nor a teacher's.
///
///     z[n,:]    = h[n,:] w^T
///     q[n,:]    = g[n,:] u^T                  where the row loss compares with a teacher
///     loss      = (1/N) sum_n l(z[n,:], q[n,:], target_n)
///     dh[n,:]  += (dy/N) (dl/dz)[n,:] w
///     dw       += (dy/N) (dl/dz)^T h
///
/// The row loss l is a policy: CrossEntropyRows, DistillationRows, TopDistillationRows. `Kernel<Rows, Device>` computes it
/// for one chunk, and overwrites the logits by their gradient where that is wanted:
///
///     workspace(rows)                                                               without a teacher
///     forward(z, targets, weight, gradient, memory, losses)
///
///     workspace(rows)                                                               Rows::with_teacher
///     forward(row_loss, z, q, targets, weight, gradient, memory, losses)
///
///     workspace(rows)                                                               Rows::with_top: a teacher's largest
///     forward(row_loss, z, top, targets, weight, gradient, memory, losses)          predictions, from before
///
/// The loss is deferred: in training one pass over the chunks, in backward, computes logits, loss and both gradients,
/// which go straight to where they belong; dy multiplies the narrow factors. Saves nothing but its arguments (by view).
/// Where the value is asked for first, a pass of its own computes the loss alone.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/in_compute_type.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/scale.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>

namespace binllm {

/// How many rows of logits are computed at a time.
struct LogitChunk {
  template <class Device>
  struct Limits {
    static constexpr Index fewest_rows = 32, most_rows = 512, bytes = Index(64) << 20;
  };
  /// As many as Limits::bytes hold, in chunks of nearly equal size.
  template <class Device>
  [[nodiscard]] static Index rows(Index rows, Index words, std::size_t scalar_bytes) {
    using L = Limits<Device>;
    const Index fitting = L::bytes / (words * static_cast<Index>(scalar_bytes)) / 16 * 16;
    const Index most = std::clamp(fitting, L::fewest_rows, L::most_rows), chunks = (rows + most - 1) / most;
    return std::min(rows, ((rows + chunks - 1) / chunks + 15) / 16 * 16);
  }
};

/// What a teacher once said of N tokens: its k largest predictions, and what all others have together.
template <class Device>
struct TopPredictions {
  View<const std::int32_t, Device> words;       ///< (N,k) token ids, ascending in each row
  View<const float, Device> log_probabilities;  ///< (N,k) of these words
  View<const float, Device> rest;               ///< (N) log of the sum over the others; -inf where it is 0

  [[nodiscard]] TopPredictions rows(Index first, Index count) const {
    return {words.middle_rows(first, count), log_probabilities.middle_rows(first, count),
            View<const float, Device>(rest.data + first, Shape{count})};
  }
};
/// h, w and the targets; g and u, and the predictions, are empty where the row loss has no such teacher.
template <class T, class Device>
struct HeadArguments {
  View<const T, Device> hidden, weight;
  View<const std::int32_t, Device> targets;
  View<const T, Device> teacher_hidden, teacher_weight;
  TopPredictions<Device> top{};
};
/// One chunk of each sort of logits, one of h, the losses of all rows, and what the row kernel wants.
template <class T, class Device>
struct HeadWorkspace {
  View<T, Device> logits, teacher_logits, hidden;
  View<master_t<T>, Device> losses, rows;
};

template <class Rows>
concept RowsWithTop = requires {
  requires Rows::with_top;
};

template <class Rows>
struct ChunkedHead {};

template <class Rows>
inline constexpr bool cuda::shipped<ChunkedHead<Rows>> = cuda::shipped<Rows>;
template <class Rows, class Device>
struct GenericKernel<ChunkedHead<Rows>, Device> {
  template <class T>
  static void forward(const Rows& row_loss, const HeadArguments<T, Device>& in, const HeadWorkspace<T, Device>& memory,
                      View<master_t<T>, Device> loss) {
    over_chunks(row_loss, in, memory, false, loss, [](View<const T, Device>, View<const T, Device>, Index) {});
  }
  /// Adds to dh and dw, and writes the loss too.
  template <class T>
  static void backward(const Rows& row_loss, const HeadArguments<T, Device>& in, View<const master_t<T>, Device> dy,
                       const HeadWorkspace<T, Device>& memory, View<master_t<T>, Device> loss, Into<T, Device> dh,
                       Gradient<master_t<T>, Device> dw) {
    using B = Backend<Device>;
    const auto gradients = [&](View<const T, Device> dz, View<const T, Device> part, Index first) {
      const auto hidden = memory.hidden.middle_rows(0, part.rows());
      if (dw) {
        B::map(hidden, Multiply{}, elements(part), uniform(dy));
        B::gemm(Product::tn, dz, read(hidden), dw.view, first == 0 ? dw.write() : Write::accumulate);
      }
      if (dh) {
        B::gemm(Product::nn, dz, in.weight, hidden);
        const Gradient<T, Device> rows(dh.view.middle_rows(first, part.rows()), dh.fresh);
        B::template map<Write::accumulate>(Target<T>(rows), Multiply{}, elements(hidden), uniform(dy));
      }
    };
    over_chunks(row_loss, in, memory, true, loss, gradients);
  }

 private:
  /// Calls body(dz or what is left of the logits, rows of h, their first) for each chunk; then writes the loss.
  template <class T, class Body>
  static void over_chunks(const Rows& row_loss, const HeadArguments<T, Device>& in,
                          const HeadWorkspace<T, Device>& memory, bool gradient, View<master_t<T>, Device> loss,
                          const Body& body) {
    using B = Backend<Device>;
    using M = master_t<T>;
    const Index rows = in.hidden.rows(), chunk = memory.logits.rows();
    const M weight = M(1) / static_cast<M>(rows);
    for (Index first = 0; first < rows; first += chunk) {
      const Index count = std::min(chunk, rows - first);
      const auto part = in.hidden.middle_rows(first, count);
      const auto z = memory.logits.middle_rows(0, count);
      const View<const std::int32_t, Device> targets(in.targets.data + first, Shape{count});
      const View<M, Device> losses(memory.losses.data + first, Shape{count});
      B::gemm(Product::nt, part, in.weight, z);
      if constexpr (Rows::with_teacher) {
        const auto q = memory.teacher_logits.middle_rows(0, count);
        B::gemm(Product::nt, in.teacher_hidden.middle_rows(first, count), in.teacher_weight, q);
        Kernel<Rows, Device>::forward(row_loss, z, read(q), targets, weight, gradient, memory.rows, losses);
      } else if constexpr (RowsWithTop<Rows>) {
        Kernel<Rows, Device>::forward(row_loss, z, in.top.rows(first, count), targets, weight, gradient, memory.rows,
                                      losses);
      } else {
        Kernel<Rows, Device>::forward(z, targets, weight, gradient, memory.rows, losses);
      }
      body(read(z), part, first);
    }
    B::template row_reduce<Sum>(loss, rows, Times<M>{weight}, per_column(read(memory.losses)));
  }
};

/// What the rows of a teacher are computed from: its final hidden states and its head.
template <class T, class Device>
struct TeacherRows {
  Variable<T, Device> hidden;
  Variable<master_t<T>, Device> weight;
};

namespace detail {

template <class Rows, class T, class Device>
void check_head(std::string_view operation, Variable<T, Device> h, Variable<master_t<T>, Device> w,
                View<const std::int32_t, Device> targets) {
  check_same_tape(operation, h, w);
  check_not_empty(operation, "h", h.shape());
  check_rank(operation, "w", w.shape(), 2);
  check_cols(operation, "h", h.shape(), w.shape()[1]);
  check_shape(operation, "targets", Shape{targets.size()}, Shape{h.shape().rows()});
  check_token_ids(operation, targets, w.shape()[0]);
}

/// Calls body(HeadWorkspace) with memory for the chunks of h (N,C) against `words` rows of the vocabulary.
template <class Rows, class T, class Device, class Body>
void with_head_workspace(Variable<T, Device> h, Index words, View<master_t<T>, Device> losses, const Body& body) {
  using M = master_t<T>;
  constexpr Index sorts = Rows::with_teacher ? 2 : 1;
  Tape<Device>& tape = h.tape();
  const Index chunk = LogitChunk::rows<Device>(h.shape().rows(), sorts * words, sizeof(T));
  const Temporary<T, Device> logits(tape, Shape{chunk, words}), hidden(tape, {chunk, h.shape().cols()}),
      others(tape, Shape{sorts == 2 ? chunk : 0, words});
  const Temporary<M, Device> memory(tape, Shape{Kernel<Rows, Device>::workspace(chunk)});
  body(HeadWorkspace<T, Device>{logits.view(), others.view(), hidden.view(), losses, memory.view()});
}

/// The losses (N) of the rows one by one, for those who want no gradient.
template <class Rows, class T, class Device>
[[nodiscard]] Variable<master_t<T>, Device> row_losses(const Rows& row_loss, Variable<T, Device> h,
                                                       Variable<master_t<T>, Device> w,
                                                       View<const std::int32_t, Device> targets) {
  using K = Kernel<ChunkedHead<Rows>, Device>;
  using M = master_t<T>;
  static_assert(!Rows::with_teacher && !RowsWithTop<Rows>, "rows that are compared with a teacher's have a mean alone");
  return h.tape().template compute<M>({h.shape().rows()}, [=](View<M, Device> losses) {
    const InComputeType<T, Device> weight(h.tape(), read(w.value()));
    const HeadArguments<T, Device> arguments{read(h.value()), weight.view(), targets, {}, {}, {}};
    const Temporary<M, Device> mean(h.tape(), Shape{1});
    with_head_workspace<Rows>(h, w.shape()[0], losses,
                              [&](const auto& memory) { K::forward(row_loss, arguments, memory, mean.view()); });
  });
}

/// The op of a row loss. `teacher` holds one TeacherRows or TopPredictions where the row loss wants it, else nothing.
template <class Rows, class T, class Device, class... Teacher>
[[nodiscard]] Variable<master_t<T>, Device> chunked_head(const Rows& row_loss, Variable<T, Device> h,
                                                         Variable<master_t<T>, Device> w,
                                                         View<const std::int32_t, Device> targets, Teacher... teacher) {
  using K = Kernel<ChunkedHead<Rows>, Device>;
  using M = master_t<T>;
  const Index rows = h.shape().rows(), words = w.shape()[0];
  const auto with_workspace = [=](const auto& body) {
    const Temporary<M, Device> losses(h.tape(), Shape{rows});
    with_head_workspace<Rows>(h, words, losses.view(), body);
  };
  const auto with_arguments = [=](const auto& body) {
    const auto hidden = read(h.value());
    const InComputeType<T, Device> weight(h.tape(), read(w.value()));
    HeadArguments<T, Device> arguments{hidden, weight.view(), targets, {}, {}, {}};
    if constexpr (Rows::with_teacher) {
      const auto& [theirs] = std::tie(teacher...);
      arguments.teacher_hidden = read(theirs.hidden.value());
      const InComputeType<T, Device> their_weight(h.tape(), read(theirs.weight.value()));
      arguments.teacher_weight = their_weight.view();
      body(arguments);
    } else {
      if constexpr (RowsWithTop<Rows>) arguments.top = (teacher, ...);
      body(arguments);
    }
  };
  auto loss = h.tape().template deferred<M>({1}, [=](View<M, Device> out) {
    with_arguments([&](const auto& arguments) {
      with_workspace([&](const auto& memory) { K::forward(row_loss, arguments, memory, out); });
    });
  });
  loss.tape().on_backward(
      loss,
      [=] {
        with_arguments([&](const auto& arguments) {
          const bool one = h.shares_gradient(w.node());
          const Gradient<M, Device> dw = one ? w.gradient() : w.incoming();
          const Gradient<T, Device> dh = one ? h.gradient() : h.incoming();
          with_workspace([&](const auto& memory) {
            K::backward(row_loss, arguments, read(loss.gradient()), memory, loss.room(), dh, dw);
          });
        });
      },
      h, w);
  if constexpr (Rows::with_teacher) {
    if (loss.needs_gradient()) (loss.tape().reads(teacher.hidden), ...);
  }
  return loss;
}

}  // namespace detail
}  // namespace binllm

#include <binllm/ops/cuda/chunked_head.hpp>
