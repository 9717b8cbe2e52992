// SPDX-License-Identifier: MIT
/// Vocabulary head, next-token loss and the distance to a teacher's predictions (Hinton, Vinyals and Dean,
/// arXiv 1503.02531) in one op, in chunks of rows (ops/chunked_head.hpp): neither model's logits are ever whole.
///
///     z[n,:] = h[n,:] w^T,   q[n,:] = g[n,:] u^T
///     p_S    = softmax(z / T),   p_T = softmax(q / T)
///     loss   = (1/N) sum_n ( (1 - a) (log sum_v e^{z[n,v]} - z[n,target_n])  +  a s c_n T^2 sum_v p_T log(p_T / p_S) )
///     c_n    = H_n^r,   H_n = - sum_v p_T log p_S, taken for a constant
///
/// T is the temperature, a the mix: 0 is the next-token loss alone, 1 the teacher alone. s weights the teacher's term.
/// r > 0 gives more weight to tokens on which the student is far from the teacher or the teacher unsure: an
/// approximation of the deviation-aware distillation of DB-LLM (arXiv 2402.11960), whose own weights are not published
/// as code. With r = 0, c is 1.
///
/// Shapes   h (...,C), w (V,C), g (...,C'), u (V,C'), targets (N) -> loss (1). w, u, loss in master_t of h's type.
/// Units    natural log, mean over the N rows.
/// Backward dz[n,v] = ( (1 - a) (softmax(z)[n,v] - [v = target_n])  +  a s c_n T (p_S - p_T)[n,v] ) / N
///          No gradient reaches g and u. Where z = q, the second term is exactly 0.
/// Errors   shape_mismatch, rank_unsupported, empty_tensor, token_out_of_range, foreign_tape,
///          option_out_of_range (T <= 0, a outside 0 to 1, s < 0, r < 0). The targets must outlive the tape's round.
/// Cost     6 N V C + 2 N V C' operations in backward.
/// Memory   a chunk of each sort of logits, both together at most LogitChunk::Limits::bytes where that allows.
#pragma once
#include <binllm/core/options.hpp>
#include <binllm/ops/cross_entropy.hpp>

#include <cmath>
#include <limits>

namespace binllm {

/// The row part, with its numbers.
struct DistillationRows {
  static constexpr bool with_teacher = true;

  double temperature = 1, mix = 0.5, weight = 1, ambiguity = 0;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("temperature", self.temperature, "softens both predictions", above(0));
    v("mix", self.mix, "share of the teacher in the loss", between(0, 1));
    v("weight", self.weight, "of the teacher's term", at_least(0));
    v("ambiguity", self.ambiguity, "exponent of the cross-entropy that weights a token", at_least(0));
  }

  template <class T>
  struct Exponential {  // e^{(x - m) / T}
    T inverse;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& m) const {
      return formula::exp(X((x - m) * inverse));
    }
  };
  template <class T>
  struct LogSum {  // log s + m / T
    T inverse;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& s, const X& m) const {
      using std::log;
      return log(s) + m * inverse;
    }
  };
  template <class T>
  struct Divergence {  // p_T (log p_T - log p_S); 0 where the teacher rules the word out
    T inverse;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& z, const X& lse, const X& q, const X& teacher_lse) const {
      constexpr auto lowest = std::numeric_limits<formula::lane_t<X>>::lowest();
      const X log_p = q * inverse - teacher_lse;
      const X term = formula::exp(log_p) * (log_p - (z * inverse - lse));
      if constexpr (formula::is_pack<X>) {  // e^{-inf} of a pack may be a tiny number, which -inf would blow up
        return (log_p >= lowest).select(term, X::Zero());
      } else {
        return log_p >= lowest ? term : X(0);
      }
    }
  };
  template <class T>
  struct CrossEntropy {  // - p_T log p_S; 0 where the teacher rules the word out
    T inverse;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& z, const X& lse, const X& q, const X& teacher_lse) const {
      constexpr auto lowest = std::numeric_limits<formula::lane_t<X>>::lowest();
      const X log_p = q * inverse - teacher_lse;
      const X term = formula::exp(log_p) * (lse - z * inverse);
      if constexpr (formula::is_pack<X>) {
        return (log_p >= lowest).select(term, X::Zero());
      } else {
        return log_p >= lowest ? term : X(0);
      }
    }
  };
  template <class T>
  struct Power {  // x^r of x >= 0; 0 for what rounding left below
    T exponent;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x) const {
      using std::log;
      const X positive = (formula::abs(x) + x) / T(2) + std::numeric_limits<T>::min();
      return formula::exp(X(exponent * log(positive)));
    }
  };
  struct One {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X&) const {
      return formula::splat<X>(formula::lane_t<X>(1));
    }
  };
  template <class T>
  struct Mix {  // (1 - a) l + a s T^2 c d
    T of_targets, of_teacher;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& loss, const X& divergence, const X& share) const {
      return of_targets * loss + of_teacher * share * divergence;
    }
  };
  template <class T>
  struct Gradient {  // weight ( (1 - a) (e^{z - lse_1} - [v = target]) + a s T c (p_S - p_T) )
    T inverse, of_targets, of_teacher;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& z, const X& lse_1, const X& lse, const X& q, const X& teacher_lse,
                                         const X& share, const X& one_hot) const {
      return of_targets * (formula::exp(X(z - lse_1)) - one_hot) +
             of_teacher * share * (formula::exp(X(z * inverse - lse)) - formula::exp(X(q * inverse - teacher_lse)));
    }
  };
};

template <>
inline constexpr bool cuda::shipped<DistillationRows> = true;
template <class Device>
struct GenericKernel<DistillationRows, Device> {
  /// Elements of working memory for one chunk.
  static Index workspace(Index rows) { return 6 * rows; }

  /// losses[n] of each row; with `gradient`, logits become weight * d loss / d logits.
  template <class T, class M>
  static void forward(const DistillationRows& options, View<T, Device> z, View<const T, Device> q,
                      View<const std::int32_t, Device> targets, std::type_identity_t<M> weight, bool gradient,
                      View<M, Device> memory, View<M, Device> losses) {
    using B = Backend<Device>;
    using R = DistillationRows;
    const Index words = z.cols();
    const double t = options.temperature, a = options.mix, s = options.weight;
    const M inverse = static_cast<M>(1 / t);
    const auto numbers = [&](Index k) { return View<M, Device>(memory.data + k * losses.size(), losses.shape); };
    const auto most = numbers(0), lse_1 = numbers(1), lse = numbers(2), teacher_lse = numbers(3),
               divergence = numbers(4), share = numbers(5);
    // log sum e^{x / T} of a row is made from the row's maximum, for the target's sake also at T = 1
    const auto log_sum = [&](View<const T, Device> x, M factor, View<M, Device> to) {
      B::template row_reduce<Sum>(to, words, R::Exponential<M>{factor}, elements(x), per_row(most));
      B::map(to, R::LogSum<M>{factor}, elements(to), elements(most));
    };
    B::template row_reduce<Max>(most, words, formula::Identity{}, elements(q));
    log_sum(q, inverse, teacher_lse);
    B::template row_reduce<Max>(most, words, formula::Identity{}, elements(z));
    log_sum(z, M(1), lse_1);
    log_sum(z, inverse, lse);
    const OneHot<M> target{targets.data};
    B::template row_reduce<Sum>(losses, words, CrossEntropyRows::Loss{}, elements(z), per_row(lse_1), target);
    B::template row_reduce<Sum>(divergence, words, R::Divergence<M>{inverse}, elements(z), per_row(lse), elements(q),
                                per_row(teacher_lse));
    if (options.ambiguity > 0) {
      B::template row_reduce<Sum>(share, words, R::CrossEntropy<M>{inverse}, elements(z), per_row(lse), elements(q),
                                  per_row(teacher_lse));
      B::map(share, R::Power<M>{static_cast<M>(options.ambiguity)}, elements(share));
    } else {
      B::map(share, R::One{}, elements(divergence));
    }
    B::map(losses, R::Mix<M>{static_cast<M>(1 - a), static_cast<M>(a * s * t * t)}, elements(losses),
           elements(divergence), elements(share));
    if (!gradient) return;
    B::map(z, R::Gradient<M>{inverse, weight * static_cast<M>(1 - a), weight * static_cast<M>(a * s * t)}, elements(z),
           per_row(lse_1), per_row(lse), elements(q), per_row(teacher_lse), per_row(share), target);
  }
};

/// Of h under its head w, beside a teacher.
template <class T, class Device>
[[nodiscard]] Variable<master_t<T>, Device> distillation(Variable<T, Device> h, Variable<master_t<T>, Device> w,
                                                         View<const std::int32_t, Device> targets,
                                                         const TeacherRows<T, Device>& teacher,
                                                         const DistillationRows& rows = {}) {
  detail::check_head<DistillationRows>("distillation", h, w, targets);
  check_same_tape("distillation", h, teacher.hidden, teacher.weight);
  check_rank("distillation", "teacher.weight", teacher.weight.shape(), 2);
  check_shape("distillation", "teacher.weight", Shape{teacher.weight.shape()[0]}, Shape{w.shape()[0]});
  check_cols("distillation", "teacher.hidden", teacher.hidden.shape(), teacher.weight.shape()[1]);
  check_shape("distillation", "teacher.hidden", Shape{teacher.hidden.shape().rows()}, Shape{h.shape().rows()});
  check_options("distillation", rows);
  return detail::chunked_head(rows, h, w, targets, teacher);
}

}  // namespace binllm
