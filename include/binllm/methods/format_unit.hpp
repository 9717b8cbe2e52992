// SPDX-License-Identifier: MIT
/// A share of the formats of the methods: unit i of n holds every n-th. cmake/components.cmake makes a source of each for
/// the host, cmake/cuda.cmake one for nvcc, which says `template struct FormatUnit<i, n, T, Device>;`.
#pragma once
#include <binllm/methods/format_table.hpp>

namespace binllm::detail {

template <std::size_t unit, std::size_t units, class T, class Device>
FormatPointer<T, Device> FormatUnit<unit, units, T, Device>::named(std::string_view name, const FormatWords& words) {
  FormatPointer<T, Device> made;
  const auto look = [&]<std::size_t... i>(std::index_sequence<i...>) {
    const auto at = [&]<std::size_t k>() {
      if constexpr (k % units == unit) {
        using F = TypeAt<k, MethodFormats>;
        if constexpr (has_layers<F, T, Device>) {
          if (name == F::name) made = make_format<F, T, Device>(words);
        }
      }
    };
    (at.template operator()<i>(), ...);
  };
  look(std::make_index_sequence<MethodFormats::size>());
  return made;
}

}  // namespace binllm::detail
