// SPDX-License-Identifier: MIT
/// Vocabulary head, next-token loss and the distance to what a teacher once said, in chunks of rows
/// (ops/chunked_head.hpp). Of the teacher there are the k largest predictions of each token; all its other words are one
/// event, "another word", with the probability that is left.
///
///     z[n,:] = h[n,:] w^T,   p_S = softmax(z / T),   K_n the k words,   r_S = sum over v not in K_n of p_S[v]
///     D_n    = sum over v in K_n of p_T log(p_T / p_S)  +  r_T log(r_T / r_S)
///     loss   = (1/N) sum_n ( (1 - a) (log sum_v e^{z[n,v]} - z[n,target_n])  +  a s c_n T^2 D_n )
///
/// D_n is the divergence of the two distributions over k + 1 events: at most that over the whole vocabulary, equal to it
/// where k is the vocabulary, and 0 where the student agrees. Among the other words it leaves the student free. The
/// teacher's probabilities were made at the temperature T. a, s and c_n are those of ops/distillation.hpp.
///
/// Shapes   h (...,C), w (V,C), targets (N), predictions of N tokens -> loss (1). w and loss in master_t of h's type.
/// Units    natural log, mean over the N rows.
/// Backward of D_n: dz[n,v] = T (p_S - p_T)[v] for v in K_n,  T p_S[v] (1 - r_T / r_S) for the others.
/// Errors   those of cross_entropy; shape_mismatch, token_out_of_range (words), option_out_of_range as of distillation.
///          Targets and predictions must outlive the tape's round.
/// Cost     6 N V C operations in backward; eight passes over a chunk of logits.
/// Memory   that of cross_entropy.
#pragma once
#include <binllm/ops/distillation.hpp>

namespace binllm {

/// The row part, with the numbers of distillation.
struct TopDistillationRows : DistillationRows {
  static constexpr bool with_teacher = false, with_top = true;

  /// Rows of float as numbers T.
  template <class T>
  struct Floats {
    const float* data;
    Index stride;
    template <class X>
    [[nodiscard]] constexpr X load(Index row, Index col) const {
      if constexpr (formula::is_pack<X>) {
        return load_part<X>(row, col, pack_width);
      } else {
        return static_cast<X>(data[row * stride + col]);
      }
    }
    template <class X>
    [[nodiscard]] constexpr X load_part(Index row, Index col, Index count) const {
      X lanes = X::Zero();
      for (Index lane = 0; lane < count; ++lane) lanes[lane] = static_cast<T>(data[row * stride + col + lane]);
      return lanes;
    }
  };
  /// log p_T of a word among the k of its row, -infinity of the others.
  template <class T>
  struct LogProbability {
    const std::int32_t* words;
    const float* values;
    Index k;
    template <class X>
    [[nodiscard]] constexpr X load(Index row, Index col) const {
      const std::int32_t* const own = words + row * k;
      const float* const value = values + row * k;
      Index at = 0;  // the first of them from this column on
      for (Index end = k; at < end;) {
        const Index middle = at + (end - at) / 2;
        if (own[middle] < col) {
          at = middle + 1;
        } else {
          end = middle;
        }
      }
      constexpr T none = -std::numeric_limits<T>::infinity();
      if constexpr (formula::is_pack<X>) {
        X lanes = X::Constant(none);
        for (; at < k && own[at] < col + pack_width; ++at) lanes[own[at] - col] = static_cast<T>(value[at]);
        return lanes;
      } else {
        return at < k && own[at] == col ? static_cast<X>(value[at]) : static_cast<X>(none);
      }
    }
    template <class X>
    [[nodiscard]] constexpr X load_part(Index row, Index col, Index) const {
      return load<X>(row, col);
    }
  };

  /// yes where log_p is finite, else no.
  template <class X>
  [[nodiscard]] static constexpr X among(const X& log_p, const X& yes, const X& no) {
    constexpr auto lowest = std::numeric_limits<formula::lane_t<X>>::lowest();
    if constexpr (formula::is_pack<X>) {
      return (log_p >= lowest).select(yes, no);
    } else {
      return log_p >= lowest ? yes : no;
    }
  }
  template <class T>
  struct Divergence {  // p_T (log p_T - log p_S) of the k words
    T inverse;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& z, const X& lse, const X& log_p) const {
      return among<X>(log_p, formula::exp(log_p) * (log_p - (z * inverse - lse)), formula::splat<X>(T(0)));
    }
  };
  template <class T>
  struct Entropy {  // - p_T log p_T
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& log_p) const {
      return among<X>(log_p, X(-formula::exp(log_p) * log_p), formula::splat<X>(T(0)));
    }
  };
  template <class T>
  struct Others {  // e^{(z - m) / T} of the other words
    T inverse;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& z, const X& m, const X& log_p) const {
      return among<X>(log_p, formula::splat<X>(T(0)), formula::exp(X((z - m) * inverse)));
    }
  };
  template <class T>
  struct LogRest {  // log r_S of the sum above; a student that rules the others out is taken to give them a trace
    T inverse;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& others, const X& m, const X& lse) const {
      using std::log;
      return log(X(others + std::numeric_limits<T>::min())) + m * inverse - lse;
    }
  };
  template <class T>
  struct RestDivergence {  // d + r_T (log r_T - log r_S)
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& d, const X& log_rest, const X& log_s) const {
      return d + among<X>(log_rest, formula::exp(log_rest) * (log_rest - log_s), formula::splat<X>(T(0)));
    }
  };
  template <class T>
  struct Ratio {  // r_T / r_S
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& log_rest, const X& log_s) const {
      return among<X>(log_rest, formula::exp(X(log_rest - log_s)), formula::splat<X>(T(0)));
    }
  };
  struct Plus {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& a, const X& b, const X& c) const {
      return a + b + c;
    }
  };
  template <class T>
  struct Gradient {  // weight ( (1 - a) (e^{z - lse_1} - [v = target])  +  a s T c dD/dz )
    T inverse, of_targets, of_teacher;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& z, const X& lse_1, const X& lse, const X& log_p, const X& ratio,
                                         const X& share, const X& one_hot) const {
      const X p = formula::exp(X(z * inverse - lse));
      return of_targets * (formula::exp(X(z - lse_1)) - one_hot) +
             of_teacher * share * among<X>(log_p, X(p - formula::exp(log_p)), X(p - p * ratio));
    }
  };
};

template <>
inline constexpr bool cuda::shipped<TopDistillationRows> = true;
template <class Device>
struct GenericKernel<TopDistillationRows, Device> {
  /// Elements of working memory for one chunk.
  static Index workspace(Index rows) { return 7 * rows; }

  /// losses[n] of each row; with `gradient`, logits become weight * d loss / d logits.
  template <class T, class M>
  static void forward(const TopDistillationRows& options, View<T, Device> z, const TopPredictions<Device>& top,
                      View<const std::int32_t, Device> targets, std::type_identity_t<M> weight, bool gradient,
                      View<M, Device> memory, View<M, Device> losses) {
    using B = Backend<Device>;
    using R = TopDistillationRows;
    const Index words = z.cols(), k = top.words.cols();
    const double t = options.temperature, a = options.mix, s = options.weight;
    const M inverse = static_cast<M>(1 / t);
    const auto numbers = [&](Index i) { return View<M, Device>(memory.data + i * losses.size(), losses.shape); };
    const auto most = numbers(0), lse_1 = numbers(1), lse = numbers(2), divergence = numbers(3), rest = numbers(4),
               share = numbers(5), ratio = numbers(6);
    const R::LogProbability<M> log_p{top.words.data, top.log_probabilities.data, k};
    const R::Floats<M> log_rest{top.rest.data, losses.size()};
    const auto log_sum = [&](M factor, View<M, Device> to) {
      B::template row_reduce<Sum>(to, words, R::Exponential<M>{factor}, elements(z), per_row(most));
      B::map(to, R::LogSum<M>{factor}, elements(to), elements(most));
    };
    B::template row_reduce<Max>(most, words, formula::Identity{}, elements(z));
    log_sum(M(1), lse_1);
    log_sum(inverse, lse);
    const OneHot<M> target{targets.data};
    B::template row_reduce<Sum>(losses, words, CrossEntropyRows::Loss{}, elements(z), per_row(lse_1), target);
    B::template row_reduce<Sum>(divergence, words, R::Divergence<M>{inverse}, elements(z), per_row(lse), log_p);
    B::template row_reduce<Sum>(rest, words, R::Others<M>{inverse}, elements(z), per_row(most), log_p);
    B::map(rest, R::LogRest<M>{inverse}, elements(rest), elements(most), elements(lse));
    B::map(divergence, R::RestDivergence<M>{}, elements(divergence), log_rest, elements(rest));
    B::map(ratio, R::Ratio<M>{}, log_rest, elements(rest));
    if (options.ambiguity > 0) {  // H = D + the teacher's entropy over the same events
      B::template row_reduce<Sum>(share, k, R::Entropy<M>{}, R::Floats<M>{top.log_probabilities.data, k});
      B::map(rest, R::Entropy<M>{}, log_rest);
      B::map(share, R::Plus{}, elements(share), elements(rest), elements(divergence));
      B::map(share, R::Power<M>{static_cast<M>(options.ambiguity)}, elements(share));
    } else {
      B::map(share, R::One{}, elements(divergence));
    }
    B::map(losses, R::Mix<M>{static_cast<M>(1 - a), static_cast<M>(a * s * t * t)}, elements(losses),
           elements(divergence), elements(share));
    if (!gradient) return;
    B::map(z, R::Gradient<M>{inverse, weight * static_cast<M>(1 - a), weight * static_cast<M>(a * s * t)}, elements(z),
           per_row(lse_1), per_row(lse), log_p, per_row(ratio), per_row(share), target);
  }
};

/// Of h under its head w, beside what a teacher said.
template <class T, class Device>
[[nodiscard]] Variable<master_t<T>, Device> top_distillation(Variable<T, Device> h, Variable<master_t<T>, Device> w,
                                                             View<const std::int32_t, Device> targets,
                                                             const TopPredictions<Device>& teacher,
                                                             const TopDistillationRows& rows = {}) {
  constexpr std::string_view name = "top_distillation";
  detail::check_head<TopDistillationRows>(name, h, w, targets);
  const Index tokens = h.shape().rows();
  check_not_empty(name, "teacher", Shape{teacher.words.size()});
  check_shape(name, "teacher.words", Shape{teacher.words.rows()}, Shape{tokens});
  check_shape(name, "teacher.log_probabilities", Shape{teacher.log_probabilities.rows()}, Shape{tokens});
  check_cols(name, "teacher.log_probabilities", teacher.log_probabilities.shape, teacher.words.cols());
  check_shape(name, "teacher.rest", Shape{teacher.rest.size()}, Shape{tokens});
  check_token_ids(name, teacher.words, w.shape()[0]);
  check_options(name, static_cast<const DistillationRows&>(rows));
  return detail::chunked_head(rows, h, w, targets, teacher);
}

}  // namespace binllm
