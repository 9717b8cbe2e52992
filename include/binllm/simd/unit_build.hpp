// SPDX-License-Identifier: MIT
/// How the units of a program were compiled: with optimisation or not, and for which vectors. Each unit that computes
/// on the CPU notes it when the program starts. No function and no layout differs between units: what differs is a
/// constant that each unit has for itself.
#pragma once
#include <atomic>

namespace binllm {

struct UnitBuild {
  bool optimised;    ///< all units are
  int vector_bytes;  ///< of the unit with the widest vectors
};

namespace detail {

inline constinit std::atomic<bool> every_unit_optimised{true};
inline constinit std::atomic<int> widest_vector_bytes{0};

inline bool note_unit(UnitBuild unit) noexcept {
  if (!unit.optimised) every_unit_optimised = false;
  int widest = widest_vector_bytes;
  while (widest < unit.vector_bytes && !widest_vector_bytes.compare_exchange_weak(widest, unit.vector_bytes)) {
  }
  return true;
}

#if defined(__OPTIMIZE__)
static constexpr bool this_unit_optimised = true;
#else
static constexpr bool this_unit_optimised = false;
#endif
#if defined(__AVX512F__)
static constexpr int this_unit_vector_bytes = 64;
#elif defined(__AVX__)
static constexpr int this_unit_vector_bytes = 32;
#else
static constexpr int this_unit_vector_bytes = 16;
#endif
#if !defined(__CUDACC__)  // the host's part of such a unit only launches
[[maybe_unused]] static const bool this_unit_noted = note_unit({this_unit_optimised, this_unit_vector_bytes});
#endif

}  // namespace detail

/// What the units of this program have in common.
[[nodiscard]] inline UnitBuild unit_build() noexcept {
  return {detail::every_unit_optimised, detail::widest_vector_bytes};
}

}  // namespace binllm
