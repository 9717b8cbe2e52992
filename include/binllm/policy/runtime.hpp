// SPDX-License-Identifier: MIT
/// Policies chosen by name while a program runs: one type of each sort, so one model type serves all of them.
/// Compile-time recipes pay nothing for it.
#pragma once
#include <binllm/policy/names.hpp>
#include <binllm/policy/recipe.hpp>

#include <string_view>

namespace binllm {

namespace detail {
/// The entry of that name. Errors: unknown_name with the known ones.
template <class List, class Table>
[[nodiscard]] const auto& entry_named(const Table& table, std::string_view argument, std::string_view name) {
  const auto* found = table.data();
  with_named<List>("policies", argument, name, [&]<class P>() {
    while (found->name != P::name) ++found;
  });
  return *found;
}
}  // namespace detail

/// An estimator as a program by name sees it; the names of its own paper's scale and schedule are its defaults.
template <std::floating_point T>
struct EstimatorEntry {
  std::string_view name, summary, default_scale, default_schedule;
  T (*value)(T x, T t);
  T (*slope)(T x, T t);
};
template <std::floating_point T>
struct EstimatorEntryOf {
  template <Estimator E>
  [[nodiscard]] constexpr EstimatorEntry<T> operator()() const {
    return {E::name,
            E::summary,
            E::default_scale::name,
            E::default_schedule::name,
            [](T x, T t) { return E{}.value(x, t); },
            [](T x, T t) { return E{}.slope(x, t); }};
  }
};
template <std::floating_point T>
inline constexpr auto estimator_table = table_of<ShippedEstimators<T>>(EstimatorEntryOf<T>{});

/// An estimator chosen by name. Its kernels run the type behind the name (ops/fast/runtime.hpp).
template <std::floating_point T>
struct RuntimeEstimator {
  using value_type = T;
  const EstimatorEntry<T>* entry = estimator_table<T>.data();

  /// Errors: unknown_name.
  [[nodiscard]] static RuntimeEstimator named(std::string_view name) {
    return {&detail::entry_named<ShippedEstimators<T>>(estimator_table<T>, "estimator", name)};
  }
  [[nodiscard]] T value(T x, T t) const { return entry->value(x, t); }
  [[nodiscard]] T slope(T x, T t) const { return entry->slope(x, t); }
};
static_assert(Estimator<RuntimeEstimator<float>>);

/// Calls body with the estimator itself, whose type a device's kernel is compiled for: one chosen by name becomes the
/// type behind the name. Errors: unknown_name for an entry that is not in estimator_table.
template <Estimator E, class Body>
void with_estimator(const E& estimator, const Body& body) {
  body(estimator);
}
template <class T, class Body>
void with_estimator(const RuntimeEstimator<T>& estimator, const Body& body) {
  const EstimatorEntry<T>* entry = estimator_table<T>.data();
  const bool found = any_type<ShippedEstimators<T>>([&]<Estimator E>() {
    if (estimator.entry != entry++) return false;
    body(E{});
    return true;
  });
  if (found) return;
  throw Error(ErrorId::unknown_name, "policies", "estimator", "an entry of the table of estimators",
              estimator.entry->name);
}

/// A scale chosen by name: "dual", ...; and its granularity: "row", "column", "tensor" or "group:64".
template <std::floating_point T>
struct RuntimeScale {
  using value_type = T;
  ScaleTraits chosen{};
  [[nodiscard]] ScaleTraits traits() const { return chosen; }

  /// Errors: unknown_name, option_out_of_range (group size).
  [[nodiscard]] static RuntimeScale named(std::string_view scale, std::string_view granularity) {
    return {scale_traits_named(scale, granularity)};
  }
};
static_assert(Scale<RuntimeScale<float>> && !StaticScale<RuntimeScale<float>>);

struct ScheduleEntry {
  std::string_view name, summary;
  double (*t)(double);
};
struct ScheduleEntryOf {
  template <Schedule H>
  [[nodiscard]] constexpr ScheduleEntry operator()() const {
    return {H::name, H::summary, [](double c) { return H{}(c); }};
  }
};
inline constexpr auto schedule_table = table_of<ShippedSchedules>(ScheduleEntryOf{});

/// A schedule chosen by name.
struct RuntimeSchedule {
  const ScheduleEntry* entry = schedule_table.data();
  /// Errors: unknown_name.
  [[nodiscard]] static RuntimeSchedule named(std::string_view name) {
    return {&detail::entry_named<ShippedSchedules>(schedule_table, "schedule", name)};
  }
  [[nodiscard]] double operator()(double c) const { return entry->t(c); }
};
static_assert(Schedule<RuntimeSchedule>);

}  // namespace binllm
