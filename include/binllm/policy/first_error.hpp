// SPDX-License-Identifier: MIT
/// What the compiler says first of a recipe with a part that is no policy: what that part lacks.
#pragma once
#include <binllm/policy/channel_scale.hpp>
#include <binllm/policy/estimator.hpp>
#include <binllm/policy/scale.hpp>
#include <binllm/policy/schedule.hpp>

namespace binllm {

namespace detail {

template <class P>
concept SomePolicy = Estimator<P> || Scale<P> || ChannelScalePolicy<P> || Schedule<P>;
template <class P>
concept WithScalar = requires {
  requires std::floating_point<typename P::value_type>;
};

// What a struct lacks that stands in a place of a recipe: the first error says it. A policy that is merely in the wrong
// place is refused by the recipe's own constraints.
template <class E>
constexpr bool explained_estimator() {
  if constexpr (std::is_class_v<E> && !SomePolicy<E>) {
    static_assert(WithScalar<E>, "an estimator needs `using value_type = float` or double");
    static_assert(std::is_trivially_copyable_v<E>, "an estimator is copied into kernels: make it trivially copyable");
    if constexpr (WithScalar<E>) {
      using T = typename E::value_type;
      static_assert(
          requires(const E e, T x) {
            { e.value(x, x) } -> std::same_as<T>;
          },
          "an estimator needs value(x, t), what replaces x in forward, of its value_type");
      static_assert(
          requires(const E e, T x) {
            { e.slope(x, x) } -> std::same_as<T>;
          },
          "an estimator needs slope(x, t), what backward takes for the derivative, of its value_type");
      static_assert(WithoutAt<E> || WithAt<E>,
                    "at(t) of an estimator must give value(x) and slope(x) of its value_type");
    }
  }
  return Estimator<E>;
}
template <class S>
constexpr bool explained_scale() {
  if constexpr (std::is_class_v<S> && !SomePolicy<S>) {
    static_assert(WithScalar<S>, "a scale policy needs `using value_type = float` or double");
    static_assert(
        requires(const S s) {
          { s.traits() } -> std::same_as<ScaleTraits>;
        },
        "a scale policy needs `ScaleTraits traits() const`, what is shared, analytic, learned and attached");
    static_assert(std::is_trivially_copyable_v<S>, "a scale policy is copied into kernels: make it trivially copyable");
  }
  return Scale<S>;
}
template <class C>
constexpr bool explained_channel_scale() {
  if constexpr (std::is_class_v<C> && !SomePolicy<C>) {
    static_assert(WithScalar<C>, "a channel scale needs `using value_type = float` or double");
    static_assert(
        requires {
          { C::sharing } -> std::convertible_to<ChannelSharing>;
        },
        "a channel scale needs `static constexpr ChannelSharing sharing`, where the S_t of stage 1 live");
  }
  return ChannelScalePolicy<C>;
}
template <class H>
constexpr bool explained_schedule() {
  if constexpr (std::is_class_v<H> && !SomePolicy<H>)
    static_assert(Schedule<H>, "a schedule needs `double operator()(double c) const`, t at c from 0 to 20");
  return Schedule<H>;
}

template <class E, class S, class C, class H>
concept EstimatorScaleChannelScaleSchedule =
    explained_estimator<E>() && explained_scale<S>() && explained_channel_scale<C>() && explained_schedule<H>();

}  // namespace detail
}  // namespace binllm
