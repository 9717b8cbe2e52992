// SPDX-License-Identifier: MIT
/// Options are plain structs, and each names its members once:
///
///     template <class V, class Self>
///     static void visit(V&& v, Self& self) {
///       v("batch", self.batch, "sequences per optimiser step", at_least(1));
///     }
///
/// From this list come the checks below, and a program's flags, help and records. A member may be such a struct itself.
#pragma once
#include <binllm/core/error.hpp>

#include <cmath>
#include <limits>
#include <type_traits>

namespace binllm {

/// The numbers that an option may be. NaN is in no range, infinity only in one that is `infinite`.
struct OptionRange {
  double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();
  bool open = false;      ///< whether `least` itself is too little
  bool infinite = false;  ///< whether infinity will do

  [[nodiscard]] bool holds(double x) const noexcept {
    if (std::isnan(x) || (std::isinf(x) && !infinite)) return false;
    return (open ? x > least : x >= least) && x <= most;
  }
  /// "at least 1", "above 0", "0 to 1", "at least 0, or inf"; what an error says was wanted.
  [[nodiscard]] std::string text() const {
    if (std::isinf(least)) return "a number";
    if (std::isfinite(most)) return message("{} to {}", least, most);
    return message("{} {}{}", open ? "above" : "at least", least, infinite ? ", or inf" : "");
  }
};
[[nodiscard]] constexpr OptionRange at_least(double least) { return {.least = least}; }
[[nodiscard]] constexpr OptionRange above(double least) { return {.least = least, .open = true}; }
[[nodiscard]] constexpr OptionRange between(double least, double most) { return {.least = least, .most = most}; }
[[nodiscard]] constexpr OptionRange at_least_or_infinite(double least) { return {.least = least, .infinite = true}; }
/// Of everything that has no order too: flags, words, options within options.
inline constexpr OptionRange any{.infinite = true};

namespace detail {
struct AnyOptionVisitor {
  template <class Member>
  void operator()(std::string_view, Member&, std::string_view, const OptionRange&) const {}
};
}  // namespace detail

/// A struct with the list above.
template <class O>
concept OptionSet = requires(O& options) {
  std::remove_const_t<O>::visit(detail::AnyOptionVisitor{}, options);
};

namespace detail {

[[noreturn]] inline void refuse_option(std::string_view operation, std::string_view name, const MessageValue& found,
                                       const OptionRange& range) {
  throw Error(ErrorId::option_out_of_range, operation, name, range.text(), found.text());
}

/// One type for the options of all, so that a unit compiles one check for each type of member.
struct OptionChecks {
  std::string_view operation;

  template <class Member>
  void operator()(std::string_view name, const Member& member, std::string_view, const OptionRange& range) const {
    if constexpr (std::is_arithmetic_v<Member>) {
      if (!range.holds(static_cast<double>(member))) refuse_option(operation, name, member, range);
    } else if constexpr (OptionSet<Member>) {
      Member::visit(*this, member);
    }
  }
};

}  // namespace detail

/// Every number lies in its range. Errors: option_out_of_range, naming the first that does not.
template <OptionSet Options>
void check_options(std::string_view operation, const Options& options) {
  Options::visit(detail::OptionChecks{operation}, options);
}

}  // namespace binllm
