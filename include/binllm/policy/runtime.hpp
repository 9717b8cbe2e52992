// SPDX-License-Identifier: MIT
/// Policies chosen by name while a program runs. One model type serves all of them: a table holds the loops over a row
/// of weights for each estimator, so a row costs one indirect call. Compile-time recipes pay nothing for it.
#pragma once
#include <binllm/policy/estimator_rows.hpp>
#include <binllm/policy/recipe.hpp>
#include <binllm/policy/straight_through.hpp>

#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace binllm {

namespace detail {
/// The entry of that name. Errors: unknown_name with the known ones.
template <class Table>
[[nodiscard]] const auto& named(const Table& table, std::string_view kind, std::string_view name) {
  std::string known;
  for (const auto& entry : table) {
    if (entry.name == name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error(ErrorId::unknown_name, "policies", std::string(kind), "one of " + known, std::string(name));
}
}  // namespace detail

/// What an estimator has computed of t, whatever its type.
using EstimatorConstants = std::array<std::byte, 64>;

template <std::floating_point T>
struct EstimatorEntry {
  using Constants = EstimatorConstants;
  std::string_view name;
  std::string_view default_scale, default_schedule;  ///< what the method's own paper uses
  Constants (*at)(T);
  T (*value)(const Constants&, T);
  T (*slope)(const Constants&, T);
  void (*pack_value)(const Constants&, Pack<T>&);  // in place: packs are passed by address
  void (*pack_slope)(const Constants&, Pack<T>&);
  void (*forward)(const Constants&, const EstimatorRow<T>&);
  EstimatorSums<T> (*backward_with_sums)(const Constants&, const EstimatorRow<T>&);
  void (*backward)(const Constants&, const EstimatorRow<T>&);
};

/// The functions of a table entry for an estimator without members.
template <Estimator E>
struct ErasedEstimator {
  using T = typename E::value_type;
  using At = decltype(prepared(E{}, T{}));
  using Rows = EstimatorRows<T, At>;
  using Constants = EstimatorConstants;
  static_assert(sizeof(At) <= sizeof(Constants), "the constants of an estimator by name fit into 64 bytes");

  static Constants at(T t) {
    const At constants = prepared(E{}, t);
    Constants memory{};
    std::memcpy(memory.data(), &constants, sizeof(At));
    return memory;
  }
  static At of(const Constants& memory) {
    std::array<std::byte, sizeof(At)> bytes;
    std::memcpy(bytes.data(), memory.data(), sizeof(At));
    return std::bit_cast<At>(bytes);
  }
  static T value(const Constants& c, T x) { return of(c).value(x); }
  static T slope(const Constants& c, T x) { return of(c).slope(x); }
  static void pack_value(const Constants& c, Pack<T>& x) { x = Pack<T>(value_at(of(c), x)); }
  static void pack_slope(const Constants& c, Pack<T>& x) { x = Pack<T>(slope_at(of(c), x)); }
  static void forward(const Constants& c, const EstimatorRow<T>& row) { Rows::forward(of(c), row); }
  static EstimatorSums<T> backward_with_sums(const Constants& c, const EstimatorRow<T>& row) {
    return Rows::backward_with_sums(of(c), row);
  }
  static void backward(const Constants& c, const EstimatorRow<T>& row) { Rows::backward(of(c), row); }
};

template <Estimator E>
[[nodiscard]] constexpr EstimatorEntry<typename E::value_type> estimator_entry(std::string_view name,
                                                                               std::string_view scale,
                                                                               std::string_view schedule) {
  using Of = ErasedEstimator<E>;
  return {name,        scale,          schedule,       Of::at,      Of::value,
          Of::slope,   Of::pack_value, Of::pack_slope, Of::forward, Of::backward_with_sums,
          Of::backward};
}

template <std::floating_point T>
inline constexpr std::array estimator_table{
    estimator_entry<ProgressiveSign<T>>("progressive", "dual", "exponential"),
    estimator_entry<StraightThrough<T>>("vanilla", "analytic-detached", "constant"),
    estimator_entry<ErrorDecay<T>>("ede", "analytic-detached", "geometric"),
    estimator_entry<ProgressiveForward<T>>("progressive-forward", "dual", "exponential"),
};

/// An estimator chosen by name, at one hardness.
template <std::floating_point T>
struct RuntimeAt {
  const EstimatorEntry<T>* entry;
  EstimatorConstants constants;

  template <class X>
  [[nodiscard]] X value(const X& x) const {
    return apply(entry->value, entry->pack_value, x);
  }
  template <class X>
  [[nodiscard]] X slope(const X& x) const {
    return apply(entry->slope, entry->pack_slope, x);
  }

 private:
  template <class X>
  [[nodiscard]] X apply(T (*scalar)(const EstimatorConstants&, T), void (*pack)(const EstimatorConstants&, Pack<T>&),
                        const X& x) const {
    if constexpr (formula::is_pack<X>) {
      X lanes = x;
      pack(constants, lanes);
      return lanes;
    } else {
      return scalar(constants, x);
    }
  }
};

/// Rows of an estimator chosen by name are those of the estimator itself: one indirect call each.
template <std::floating_point T>
struct EstimatorRows<T, RuntimeAt<T>> {
  static void forward(const RuntimeAt<T>& at, const EstimatorRow<T>& row) { at.entry->forward(at.constants, row); }
  [[nodiscard]] static EstimatorSums<T> backward_with_sums(const RuntimeAt<T>& at, const EstimatorRow<T>& row) {
    return at.entry->backward_with_sums(at.constants, row);
  }
  static void backward(const RuntimeAt<T>& at, const EstimatorRow<T>& row) { at.entry->backward(at.constants, row); }
};

/// An estimator chosen by name.
template <std::floating_point T>
struct RuntimeEstimator {
  using value_type = T;
  const EstimatorEntry<T>* entry = &estimator_table<T>[0];

  /// Errors: unknown_name.
  [[nodiscard]] static RuntimeEstimator named(std::string_view name) {
    return {&detail::named(estimator_table<T>, "estimator", name)};
  }

  [[nodiscard]] RuntimeAt<T> at(T t) const { return {entry, entry->at(t)}; }
  template <class X>
  [[nodiscard]] X value(const X& x, T t) const {
    return at(t).value(x);
  }
  template <class X>
  [[nodiscard]] X slope(const X& x, T t) const {
    return at(t).slope(x);
  }
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
  const auto is = [&]<class E>(const E& candidate) {
    if (estimator.entry->at != &ErasedEstimator<E>::at) return false;
    body(candidate);
    return true;
  };
  if (is(ProgressiveSign<T>{}) || is(StraightThrough<T>{}) || is(ErrorDecay<T>{}) || is(ProgressiveForward<T>{}))
    return;
  throw Error(ErrorId::unknown_name, "policies", "estimator", "an entry of the table of estimators",
              std::string(estimator.entry->name));
}

struct ScaleEntry {
  std::string_view name;
  bool analytic, learned, attached;
};
inline constexpr std::array<ScaleEntry, 5> scale_table{{
    {"dual", true, true, true},
    {"dual-detached", true, true, false},
    {"analytic", true, false, true},
    {"analytic-detached", true, false, false},
    {"learned", false, true, true},
}};

struct GranularityEntry {
  std::string_view name;
  Granularity granularity;
};
inline constexpr std::array<GranularityEntry, 4> granularity_table{{{"row", Granularity::row},
                                                                    {"column", Granularity::column},
                                                                    {"tensor", Granularity::tensor},
                                                                    {"group", Granularity::group}}};

/// A scale chosen by name: "dual", ...; and its granularity: "row", "column", "tensor" or "group:64".
template <std::floating_point T>
struct RuntimeScale {
  using value_type = T;
  ScaleTraits chosen{};
  [[nodiscard]] ScaleTraits traits() const { return chosen; }

  /// Errors: unknown_name, option_out_of_range (group size).
  [[nodiscard]] static RuntimeScale named(std::string_view scale, std::string_view granularity) {
    const ScaleEntry& entry = detail::named(scale_table, "scale", scale);
    const std::size_t colon = granularity.find(':');
    const Granularity kind = detail::named(granularity_table, "granularity", granularity.substr(0, colon)).granularity;
    Index group = 0;
    if (kind == Granularity::group || colon != granularity.npos) {
      const std::string_view digits = colon == granularity.npos ? std::string_view{} : granularity.substr(colon + 1);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), group);
      if (kind != Granularity::group || error != std::errc{} || end != digits.data() + digits.size() || group <= 0) {
        throw Error(ErrorId::option_out_of_range, "policies", "granularity", "row, column, tensor or group:SIZE",
                    std::string(granularity));
      }
    }
    return {{kind, group, entry.analytic, entry.learned, entry.attached}};
  }
};
static_assert(Scale<RuntimeScale<float>> && !StaticScale<RuntimeScale<float>>);

struct ScheduleEntry {
  std::string_view name;
  double (*t)(double);
};
template <Schedule S>
[[nodiscard]] constexpr ScheduleEntry schedule_entry(std::string_view name) {
  return {name, [](double c) { return S{}(c); }};
}
inline constexpr std::array schedule_table{
    schedule_entry<ExponentialSchedule>("exponential"), schedule_entry<UniformSchedule>("uniform"),
    schedule_entry<LogarithmicSchedule>("logarithmic"), schedule_entry<DegreeUniformSchedule>("degree-uniform"),
    schedule_entry<GeometricSchedule>("geometric"),     schedule_entry<ConstantSchedule>("constant"),
};

/// A schedule chosen by name.
struct RuntimeSchedule {
  const ScheduleEntry* entry = schedule_table.data();
  /// Errors: unknown_name.
  [[nodiscard]] static RuntimeSchedule named(std::string_view name) {
    return {&detail::named(schedule_table, "schedule", name)};
  }
  [[nodiscard]] double operator()(double c) const { return entry->t(c); }
};
static_assert(Schedule<RuntimeSchedule>);

}  // namespace binllm
