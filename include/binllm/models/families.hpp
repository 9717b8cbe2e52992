// SPDX-License-Identifier: MIT
/// The families that the library ships, and the only list of them: a line here makes one known to io and the program.
#pragma once
#include <binllm/core/type_list.hpp>
#include <binllm/models/gpt_neox.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/models/opt.hpp>
#include <binllm/models/qwen3.hpp>

namespace binllm {

namespace detail {
template <class R, class F, class A, class... Rest>
R with_family(const Family& family, F& f, TypeList<A, Rest...>) {
  if constexpr (sizeof...(Rest) > 0) {
    if (family.name != A::name) return with_family<R>(family, f, TypeList<Rest...>{});
  }
  return f.template operator()<A>();
}
}  // namespace detail

using ShippedFamilies = TypeList<LlamaArchitecture, Qwen3Architecture, GptNeoxArchitecture, OptArchitecture>;

inline constexpr auto shipped_families = table_of<ShippedFamilies>([]<class A>() { return &family_of<A>; });

/// Calls f.template operator()<A>() with the architecture of a shipped family.
template <class R, class F>
R with_family(const Family& family, F&& f) {
  return detail::with_family<R>(family, f, ShippedFamilies{});
}

}  // namespace binllm
