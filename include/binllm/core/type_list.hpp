// SPDX-License-Identifier: MIT
/// Lists of types that have a name and a one-line summary: tables by name, help texts and instantiations fold over
/// them, so what is on such a list is written down once.
#pragma once
#include <binllm/core/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace binllm {

template <class... Types>
struct TypeList {
  static constexpr std::size_t size = sizeof...(Types);
};

/// What a command line, a config.json and a page call the type, and one line on what it is.
template <class T>
concept NamedType = requires {
  std::string_view(T::name);
  std::string_view(T::summary);
};

namespace detail {
template <std::size_t i, class List>
struct At;
template <std::size_t i, class First, class... Rest>
struct At<i, TypeList<First, Rest...>> : At<i - 1, TypeList<Rest...>> {};
template <class First, class... Rest>
struct At<0, TypeList<First, Rest...>> {
  using type = First;
};
}  // namespace detail
/// The i-th type of a list.
template <std::size_t i, class List>
using TypeAt = typename detail::At<i, List>::type;

template <class T, class List>
inline constexpr bool list_has = false;
template <class T, class... Types>
inline constexpr bool list_has<T, TypeList<Types...>> = (std::is_same_v<T, Types> || ...);

namespace detail {
template <class List, class T>
struct AddedTo;
template <class... Types, class T>
struct AddedTo<TypeList<Types...>, T> {
  using type = std::conditional_t<list_has<T, TypeList<Types...>>, TypeList<Types...>, TypeList<Types..., T>>;
};
template <class First, class Second>
struct Join;
template <class... First, class... Second>
struct Join<TypeList<First...>, TypeList<Second...>> {
  using type = TypeList<First..., Second...>;
};
}  // namespace detail
/// A list with one more type at its end, unless it has it.
template <class List, class T>
using Added = typename detail::AddedTo<List, T>::type;
/// Two lists in one.
template <class First, class Second>
using JoinedTypes = typename detail::Join<First, Second>::type;

/// Calls `f.template operator()<Type>()` for each type in turn, until one call returns true; says whether one did.
template <class List, class F>
constexpr bool any_type(F&& f) {
  return [&]<class... Types>(TypeList<Types...>) { return (f.template operator()<Types>() || ...); }(List{});
}
/// The same for all of them.
template <class List, class F>
constexpr void for_each_type(F&& f) {
  [&]<class... Types>(TypeList<Types...>) { (f.template operator()<Types>(), ...); }(List{});
}
/// An array of `f.template operator()<Type>()` of each type.
template <class List, class F>
[[nodiscard]] constexpr auto table_of(F&& f) {
  return [&]<class... Types>(TypeList<Types...>) { return std::array{f.template operator()<Types>()...}; }(List{});
}

/// A name as a user writes it: with what follows it, for types that say so ("group:SIZE").
template <NamedType T>
[[nodiscard]] std::string spelling_of() {
  std::string text(T::name);
  if constexpr (requires { std::string_view(T::parameter); }) text += T::parameter;
  return text;
}
/// "progressive, vanilla or ede"
template <class List>
[[nodiscard]] std::string names_of(std::string_view last = " or ") {
  std::string text;
  std::size_t i = 0;
  for_each_type<List>([&]<NamedType T>() {
    text += (i == 0 ? "" : i + 1 == List::size ? last : ", ");
    text += spelling_of<T>();
    ++i;
  });
  return text;
}
/// A line for each: its name and what it is.
template <class List>
[[nodiscard]] std::string summaries_of(std::string_view indent = "  ") {
  std::size_t width = 0;
  for_each_type<List>([&]<NamedType T>() { width = std::max(width, spelling_of<T>().size()); });
  std::string text;
  for_each_type<List>(
      [&]<NamedType T>() { text += fmt::format("{}{:{}}  {}\n", indent, spelling_of<T>(), width, T::summary); });
  return text;
}

/// Calls `f.template operator()<Type>()` for the type of that name. Errors: unknown_name with the known ones.
template <class List, class F>
void with_named(std::string_view operation, std::string_view argument, std::string_view name, F&& f) {
  const bool found = any_type<List>([&]<NamedType T>() {
    if (T::name != name) return false;
    f.template operator()<T>();
    return true;
  });
  if (found) return;
  std::string known;
  for_each_type<List>([&]<NamedType T>() { known += (known.empty() ? "" : ", ") + std::string(T::name); });
  throw Error(ErrorId::unknown_name, operation, argument, "one of " + known, name);
}

}  // namespace binllm
