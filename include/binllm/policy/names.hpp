// SPDX-License-Identifier: MIT
/// Policies and their names, both ways.
#pragma once
#include <binllm/policy/shipped.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

namespace binllm {

/// What a policy is called that nobody named.
inline constexpr std::string_view custom_policy = "custom";

/// The name of an estimator or schedule: its own, or that of the one that was chosen by name.
/// A struct that derives from one of the list inherits its name, and is not what it is called.
template <class Shipped, class P>
[[nodiscard]] constexpr std::string_view policy_name(const P& policy) {
  if constexpr (requires { std::string_view(policy.entry->name); }) {
    return policy.entry->name;
  } else if constexpr (requires { std::string_view(P::name); }) {
    const bool inherited =
        !list_has<P, Shipped> && any_type<Shipped>([]<class S>() { return std::string_view(S::name) == P::name; });
    return inherited ? custom_policy : std::string_view(P::name);
  } else {
    return custom_policy;
  }
}
/// The numbers that a schedule takes, in the order of its `visit`.
using ScheduleNumbers = std::array<double, 3>;
template <Schedule H>
[[nodiscard]] constexpr ScheduleNumbers schedule_numbers(const H& schedule) {
  ScheduleNumbers numbers{};
  if constexpr (OptionSet<H>) {
    std::size_t i = 0;
    H::visit([&](std::string_view, const double& number, auto&&...) { numbers.at(i++) = number; }, schedule);
  }
  return numbers;
}
namespace detail {
/// ":0.05:300", up to the last one that is not as by default.
[[nodiscard]] inline std::string numbers_text(const ScheduleNumbers& numbers, const ScheduleNumbers& defaults) {
  std::string text, all;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    all += message(":{}", numbers.at(i));
    if (numbers.at(i) != defaults.at(i)) text = all;
  }
  return text;
}
inline constexpr std::string_view sign_mark = "+sign:";
[[nodiscard]] inline std::string sign_text(double share) {
  return share > 0 ? message("{}{}", sign_mark, share) : std::string();
}
/// A whole text as a number. Errors: option_out_of_range with what was wanted.
[[nodiscard]] inline double number_of(std::string_view text, std::string_view argument, std::string_view wanted) {
  double number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size() && std::isfinite(number)) return number;
  throw Error(ErrorId::option_out_of_range, "policies", argument, wanted, text);
}
}  // namespace detail
template <Estimator E>
[[nodiscard]] constexpr std::string_view estimator_name(const E& estimator) {
  return policy_name<ShippedEstimators<typename E::value_type>>(estimator);
}
/// A schedule with numbers is called by those that are not its defaults too: "geometric:0.05:300"; one that ends with
/// signs by how long they last: "exponential+sign:0.05".
template <Schedule H>
[[nodiscard]] std::string schedule_name(const H& schedule) {
  std::string name(policy_name<ShippedSchedules>(schedule));
  if constexpr (requires { std::string(schedule.numbers_text()); }) {
    name += schedule.numbers_text();
  } else if constexpr (OptionSet<H>) {
    name += detail::numbers_text(schedule_numbers(schedule), schedule_numbers(H{}));
  }
  return name;
}
template <Schedule H>
[[nodiscard]] std::string schedule_name(const ThenSign<H>& schedule) {
  return schedule_name(schedule.schedule) + detail::sign_text(schedule.share);
}

/// The shipped scale with these equations.
[[nodiscard]] constexpr std::string_view scale_name(const ScaleTraits& traits) {
  std::string_view name = custom_policy;
  any_type<ShippedScales<float>>([&]<class S>() {
    if (!S::traits().same_equations(traits)) return false;
    name = S::name;
    return true;
  });
  return name;
}
/// A scale policy that has a name is called by it, any other by its equations.
template <Scale S>
[[nodiscard]] constexpr std::string_view scale_name(const S& scale) {
  if constexpr (requires { std::string_view(S::name); }) {
    return S::name;
  } else {
    return scale_name(scale.traits());
  }
}

/// "row", "column", "tensor" or "group:64".
[[nodiscard]] inline std::string granularity_name(const ScaleTraits& traits) {
  std::string name;
  for_each_type<ShippedGranularities>([&]<class G>() {
    if (G::granularity == traits.granularity) name = G::name;
  });
  if (traits.granularity == Granularity::group) name += message(":{}", traits.group);
  return name;
}

/// The traits of a scale by name and a granularity by name. Errors: unknown_name, option_out_of_range (group size).
[[nodiscard]] inline ScaleTraits scale_traits_named(std::string_view scale, std::string_view granularity) {
  ScaleTraits traits;
  with_named<ShippedScales<float>>("policies", "scale", scale, [&]<class S>() { traits = S::traits(); });
  const std::size_t colon = granularity.find(':');
  with_named<ShippedGranularities>("policies", "granularity", granularity.substr(0, colon),
                                   [&]<class G>() { traits.granularity = G::granularity; });
  if (traits.granularity == Granularity::group || colon != granularity.npos) {
    const std::string_view digits = colon == granularity.npos ? std::string_view{} : granularity.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), traits.group);
    if (traits.granularity != Granularity::group || error != std::errc{} || end != digits.data() + digits.size() ||
        traits.group <= 0) {
      throw Error(ErrorId::option_out_of_range, "policies", "granularity", names_of<ShippedGranularities>(),
                  granularity);
    }
  }
  return traits;
}

/// "none", "shared" or "per-linear".
[[nodiscard]] constexpr std::string_view to_string(ChannelSharing sharing) noexcept {
  std::string_view name;
  for_each_type<ShippedChannelScales<float>>([&]<class C>() {
    if (C::sharing == sharing) name = C::name;
  });
  return name;
}
/// Errors: unknown_name with the known ones.
[[nodiscard]] inline ChannelSharing channel_sharing_named(std::string_view name) {
  ChannelSharing sharing{};
  with_named<ShippedChannelScales<float>>("policies", "channel_scale", name, [&]<class C>() { sharing = C::sharing; });
  return sharing;
}

}  // namespace binllm
