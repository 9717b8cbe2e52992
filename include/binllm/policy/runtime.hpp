// SPDX-License-Identifier: MIT
/// Policies chosen by name while a program runs: one type of each sort, so one model type serves all of them.
/// Compile-time recipes pay nothing for it.
#pragma once
#include <binllm/policy/names.hpp>
#include <binllm/policy/recipe.hpp>

#include <algorithm>
#include <string>
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

/// A schedule as a program by name sees it.
struct ScheduleEntry {
  std::string_view name, summary;
  std::size_t count;         ///< of the numbers that it takes
  ScheduleNumbers defaults;  ///< and what they are where nobody says
  double (*t)(const ScheduleNumbers&, double c);
  void (*check)(const ScheduleNumbers&);  ///< errors: option_out_of_range
};
struct ScheduleEntryOf {
  template <Schedule H>
  [[nodiscard]] static constexpr H with(const ScheduleNumbers& numbers) {
    H schedule;
    if constexpr (OptionSet<H>) {
      std::size_t i = 0;
      H::visit([&](std::string_view, double& number, auto&&...) { number = numbers.at(i++); }, schedule);
    }
    return schedule;
  }
  template <Schedule H>
  [[nodiscard]] constexpr ScheduleEntry operator()() const {
    std::size_t count = 0;
    if constexpr (OptionSet<H>) {
      H schedule;
      H::visit([&](auto&&...) { ++count; }, schedule);
    }
    return {H::name,
            H::summary,
            count,
            schedule_numbers(H{}),
            [](const ScheduleNumbers& numbers, double c) { return with<H>(numbers)(c); },
            [](const ScheduleNumbers& numbers) {
              if constexpr (OptionSet<H>) check_options("schedule", with<H>(numbers));
            }};
  }
};
inline constexpr auto schedule_table = table_of<ShippedSchedules>(ScheduleEntryOf{});

/// A schedule chosen by name, with its numbers, and how much of the training signs alone have at the end:
/// "equal-error:0.5", "geometric:0.05:300+sign:0.05".
struct RuntimeSchedule {
  const ScheduleEntry* entry = schedule_table.data();
  ScheduleNumbers numbers = entry->defaults;
  double sign_share = 0;

  /// Errors: unknown_name, option_out_of_range.
  [[nodiscard]] static RuntimeSchedule named(std::string_view word) {
    const std::size_t mark = word.find(detail::sign_mark), end = std::min(mark, word.size());
    const std::size_t colon = word.substr(0, end).find(':');
    RuntimeSchedule chosen{
        &detail::entry_named<ShippedSchedules>(schedule_table, "schedule", word.substr(0, std::min(colon, end)))};
    chosen.numbers = chosen.entry->defaults;
    const auto wanted = [&] { return message("{} with at most {} numbers", chosen.entry->name, chosen.entry->count); };
    std::size_t count = 0;
    for (std::size_t at = colon; at < end; ++count) {
      const std::size_t next = std::min(word.find(':', at + 1), end);
      if (count == chosen.entry->count)
        throw Error(ErrorId::option_out_of_range, "policies", "schedule", wanted(), word);
      chosen.numbers.at(count) = detail::number_of(word.substr(at + 1, next - at - 1), "schedule", wanted());
      at = next;
    }
    chosen.entry->check(chosen.numbers);
    if (mark == word.npos) return chosen;
    constexpr std::string_view share = "a share of the training above 0 and below 1 behind +sign:";
    chosen.sign_share = detail::number_of(word.substr(mark + detail::sign_mark.size()), "schedule", share);
    if (chosen.sign_share > 0 && chosen.sign_share < 1) return chosen;
    throw Error(ErrorId::option_out_of_range, "policies", "schedule", share, word);
  }
  [[nodiscard]] double operator()(double c) const {
    const auto smooth = [this](double at) { return entry->t(numbers, at); };
    return ThenSign<decltype(smooth)>{smooth, sign_share}(c);
  }
  [[nodiscard]] std::string numbers_text() const {
    return detail::numbers_text(numbers, entry->defaults) + detail::sign_text(sign_share);
  }
};
static_assert(Schedule<RuntimeSchedule>);

}  // namespace binllm
