// SPDX-License-Identifier: MIT
/// Neighbours in memory, as one thread moves them (by accesses of up to 16 bytes) and computes with them (as master_t).
#pragma once
#include <binllm/core/bf16.hpp>

#include <cuda_bf16.h>
#include <vector_types.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace binllm::cuda {

template <class T, int n>
struct Lanes {
  T lane[n];
};

namespace detail {
template <std::size_t bytes>
using Access = std::conditional_t<
    bytes % 16 == 0, uint4,
    std::conditional_t<bytes % 8 == 0, uint2, std::conditional_t<bytes % 4 == 0, std::uint32_t, std::uint16_t>>>;

template <class T, int n>
struct Accesses {
  Access<sizeof(T) * n> access[sizeof(T) * n / sizeof(Access<sizeof(T) * n>)];
};
}  // namespace detail

/// Whether n lanes can be moved at once wherever a row of `cols` begins.
template <int n, class T>
[[nodiscard]] inline bool lies_in_lanes(const T* data, std::ptrdiff_t cols) {
  return cols % n == 0 && reinterpret_cast<std::uintptr_t>(data) % sizeof(detail::Access<sizeof(T) * n>) == 0;
}

/// Lanes that are still on their way: as words of the machine, for whoever takes numbers of 16 bits apart waits.
template <class T, int n>
struct Arriving {
  detail::Accesses<T, n> moved;
  [[nodiscard]] __device__ Lanes<T, n> lanes() const { return std::bit_cast<Lanes<T, n>>(moved); }
};
/// `from` is where lies_in_lanes says so.
template <int n, class T>
[[nodiscard]] __device__ inline Arriving<std::remove_const_t<T>, n> load_later(T* from) {
  Arriving<std::remove_const_t<T>, n> arriving;
  auto& access = arriving.moved.access;
  for (std::size_t i = 0; i < sizeof(access) / sizeof(access[0]); ++i)
    access[i] = reinterpret_cast<const std::remove_reference_t<decltype(access[0])>*>(from)[i];
  return arriving;
}
template <int n, class T>
[[nodiscard]] __device__ inline Lanes<std::remove_const_t<T>, n> load(T* from) {
  return load_later<n>(from).lanes();
}
/// load_later for what no kernel reads again soon: it does not push out of the cache what the next one wants.
template <int n, class T>
[[nodiscard]] __device__ inline Arriving<std::remove_const_t<T>, n> load_once(T* from) {
  Arriving<std::remove_const_t<T>, n> arriving;
  auto& access = arriving.moved.access;
  for (std::size_t i = 0; i < sizeof(access) / sizeof(access[0]); ++i)
    access[i] = __ldcs(reinterpret_cast<const std::remove_reference_t<decltype(access[0])>*>(from) + i);
  return arriving;
}
/// To global memory.
template <class T, int n>
__device__ inline void store(T* to, const Lanes<T, n>& lanes) {
  using Moved = detail::Accesses<T, n>;
  const auto moved = std::bit_cast<Moved>(lanes);
  for (std::size_t i = 0; i < sizeof(moved.access) / sizeof(moved.access[0]); ++i)
    __stwb(reinterpret_cast<std::remove_cvref_t<decltype(moved.access[0])>*>(to) + i, moved.access[i]);  // undivided
}

/// What formulas compute with.
template <class T, int n>
[[nodiscard]] __device__ inline Lanes<master_t<T>, n> widened(const Lanes<T, n>& lanes) {
  Lanes<master_t<T>, n> wide;
  for (int i = 0; i < n; ++i) wide.lane[i] = static_cast<master_t<T>>(lanes.lane[i]);
  return wide;
}
/// Rounded to T; two bf16 by one instruction, which a NaN leaves as another NaN than bf16(float) makes of it.
template <class T, int n>
[[nodiscard]] __device__ inline Lanes<T, n> rounded(const Lanes<master_t<T>, n>& wide) {
  Lanes<T, n> lanes;
  if constexpr (!std::is_same_v<T, bf16>) {
    lanes = wide;
  } else if constexpr (n % 2 == 0) {
    for (int i = 0; i < n; i += 2) {
      const __nv_bfloat162_raw pair = __floats2bfloat162_rn(wide.lane[i], wide.lane[i + 1]);
      lanes.lane[i].bits = pair.x;
      lanes.lane[i + 1].bits = pair.y;
    }
  } else {
    for (int i = 0; i < n; ++i) lanes.lane[i].bits = __nv_bfloat16_raw(__float2bfloat16_rn(wide.lane[i])).x;
  }
  return lanes;
}

}  // namespace binllm::cuda
