// SPDX-License-Identifier: MIT
/// Registers of T from numbers that memory holds in fewer bits: bfloat16 as its upper half of a float (std::uint16_t),
/// integers of eight bits as they are. A private part of ops/cpu/few_queries.hpp.
#pragma once
#include <binllm/device/lanes.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace binllm::cpu {

template <class T, class Stored, int lane_count = Eigen::internal::packet_traits<T>::size>
struct StoredLanes : detail::Packets<T, lane_count> {
  using Lanes = detail::Packets<T, lane_count>;
  using Packet = typename Lanes::Packet;

  [[nodiscard]] static Packet load(const Stored* from) {
    if constexpr (std::is_same_v<Stored, T>) {
      return Lanes::load(from);
    } else {
      Vector<Stored> narrow;
      std::memcpy(&narrow, from, sizeof(narrow));
      if constexpr (std::is_same_v<Stored, std::uint16_t>) {
        const auto bits = __builtin_convertvector(narrow, Vector<std::uint32_t>) << 16;
        return std::bit_cast<Packet>(__builtin_convertvector(std::bit_cast<Vector<float>>(bits), Vector<T>));
      } else {
        const auto numbers = __builtin_convertvector(narrow, Vector<std::int32_t>);
        return std::bit_cast<Packet>(__builtin_convertvector(numbers, Vector<T>));
      }
    }
  }
  /// The first count numbers, 0 < count < size, and zeros after them.
  [[nodiscard]] static Packet load_part(const Stored* from, Index count) {
    if constexpr (std::is_same_v<Stored, T>) {
      return Lanes::load_part(from, count);
    } else {
      Stored lanes[lane_count] = {};
      for (Index lane = 0; lane < count; ++lane) lanes[lane] = from[lane];
      return load(lanes);
    }
  }

 private:
  template <class X>
  struct VectorOf {
    typedef X type __attribute__((vector_size(lane_count * sizeof(X))));
  };
  template <class X>
  using Vector = typename VectorOf<X>::type;
};

}  // namespace binllm::cpu

#pragma GCC diagnostic pop
