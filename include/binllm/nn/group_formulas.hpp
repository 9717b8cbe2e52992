// SPDX-License-Identifier: MIT
/// The functors of nn/grouped_weight.hpp, each of one weight and the numbers of its group: f, g df/ds_k, and what the
/// weight receives.
#pragma once
#include <binllm/core/type_list.hpp>
#include <binllm/nn/group_statistics.hpp>
#include <binllm/policy/scale.hpp>

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace binllm {

namespace detail {

template <class F>
[[nodiscard]] constexpr Granularity granularity_of() {
  if constexpr (requires { F::granularity; }) {
    return F::granularity;
  } else {
    return Granularity::row;
  }
}
template <class F>
[[nodiscard]] constexpr bool is_masked() {
  return requires { F::masked; };
}
template <class S>
inline constexpr bool is_learned = std::is_same_v<S, Learned>;
/// Whether a gradient flows through a number to the weights that it was computed from.
template <class S>
inline constexpr bool is_attached = !is_learned<S> && !requires {
  S::detached;
};

/// f of the first arguments of a tuple.
template <class F, std::size_t... i, class In>
[[nodiscard]] constexpr auto of_first(std::index_sequence<i...>, const F& f, const In& in) {
  return f(std::get<i>(in)...);
}

// A formula as functors that the services of a device take.
template <class F>
struct GroupedValue {
  F f;
  template <class X, class... Rest>
  [[nodiscard]] constexpr X operator()(const X& w, const Rest&... rest) const {
    return f.value(w, rest...);
  }
};
template <class F, std::size_t k>
struct GroupedPartial {  // g df/ds_k
  F f;
  template <class X, class... Rest>
  [[nodiscard]] constexpr X operator()(const X& g, const Rest&... rest) const {
    return g * f.partials(rest...)[k + 1];
  }
};
template <class S, class T>
struct StatisticTerm {
  T share;  // 1/n: the reduction becomes a mean
  template <class X, class... Rest>
  [[nodiscard]] constexpr X operator()(const X& w, const Rest&... rest) const {
    return share * S::term(w, rest...);
  }
};
template <class S, class T>
struct StatisticFinish {
  T n;
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& mean) const {
    return S::finish(mean, n);
  }
};
template <class F, class T, class Numbers>
struct GroupedGradient;
template <class F, class T, class... S>
struct GroupedGradient<F, T, TypeList<S...>> {
  F f;
  T n;
  static constexpr std::size_t inputs = is_masked<F>() ? 2 : 1, numbers = sizeof...(S);

  struct ByWeight {
    F f;
    template <class X, class... Rest>
    [[nodiscard]] constexpr X operator()(const X& w, const Rest&... rest) const {
      return f.partials(w, rest...)[0];
    }
  };
  template <class Statistic, class X>
  struct Slope {
    T n;
    X number;
    template <class... Rest>
    [[nodiscard]] constexpr X operator()(const X& w, const Rest&... rest) const {
      return Statistic::slope(n, number, w, rest...);
    }
  };
  /// In: w, its mask if any, s_1 ... s_K, A_1 ... A_K.
  template <class X, class... In>
  [[nodiscard]] constexpr X operator()(const X& g, const In&... in) const {
    return sum(std::index_sequence_for<S...>{}, g, std::tie(in...));
  }
  template <std::size_t... k, class X, class In>
  [[nodiscard]] constexpr X sum(std::index_sequence<k...>, const X& g, const In& in) const {
    X dw = g * of_first(std::make_index_sequence<inputs + numbers>{}, ByWeight{f}, in);
    (add_through<k, S>(dw, in), ...);
    return dw;
  }
  template <std::size_t k, class Statistic, class X, class In>
  constexpr void add_through(X& dw, const In& in) const {
    if constexpr (is_attached<Statistic>) {
      const Slope<Statistic, X> of{n, std::get<inputs + k>(in)};
      const X slope = of_first(std::make_index_sequence<inputs + k>{}, of, in);
      dw += (T(1) / n) * slope * std::get<inputs + numbers + k>(in);
    }
  }
};

}  // namespace detail
}  // namespace binllm
