// SPDX-License-Identifier: MIT
/// Packs and memory: the part of a pack that lies at the end of a row, and packs of floats that memory holds as bf16.
/// Loads and selections are written on Eigen's packets: a pack whose address is taken leaves the registers, there and in
/// the loop that it comes from.
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/core/formula.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

// A packet as a template argument loses attributes that only packets in memory need; here none is stored.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace binllm {

namespace detail {
/// Eigen's registers of T. The number of lanes follows the compiler's flags and is part of the name, so that units
/// built with different flags never share a function.
template <class T, int lanes_in_one = Eigen::internal::packet_traits<T>::size>
struct Packets {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  using Traits = Eigen::internal::unpacket_traits<Packet>;
  static constexpr Index size = lanes_in_one;

  [[nodiscard]] static Packet load(const T* from) { return Eigen::internal::ploadu<Packet>(from); }
  [[nodiscard]] static Packet constant(T value) { return Eigen::internal::pset1<Packet>(value); }
  /// The first count numbers, 0 < count < size, and zeros after them.
  [[nodiscard]] static Packet load_part(const T* from, Index count) {
    if constexpr (Traits::masked_load_available) {
      return Eigen::internal::ploadu<Packet>(from, static_cast<typename Traits::mask_t>((1u << count) - 1u));
    } else {
      T lanes[size] = {};
      for (Index lane = 0; lane < count; ++lane) lanes[lane] = from[lane];
      return load(lanes);
    }
  }
  /// The first count lanes; a part of them in pieces of fixed sizes, without a loop or a call.
  static void store(T* to, const Packet& packet, Index count = size) {
    if (count >= size) return Eigen::internal::pstoreu(to, packet);
    T lanes[size];
    Eigen::internal::pstoreu(lanes, packet);
    copy<size / 2>(to, lanes, count);
  }
  /// Calls body(first lane) for each packet of a pack.
  template <class Body>
  static void each(const Body& body) {
    [&]<Index... k>(std::integer_sequence<Index, k...>) { (body(k * size), ...); }
    (std::make_integer_sequence<Index, pack_width / size>{});
  }

 private:
  template <Index piece>
  static void copy(T* to, const T* from, Index count) {
    if ((count & piece) != 0) {
      std::memcpy(to, from, static_cast<std::size_t>(piece) * sizeof(T));
      to += piece;
      from += piece;
    }
    if constexpr (piece > 1) copy<piece / 2>(to, from, count);
  }
};

/// Registers of floats from bf16 in memory, and back: rounded as the conversion of one number is, NaN included.
template <int lane_count = Eigen::internal::packet_traits<float>::size>
struct Bf16Lanes : Packets<float, lane_count> {
  using Packet = typename Packets<float, lane_count>::Packet;

  [[nodiscard]] static Packet load(const bf16* from) {
    Vector<std::uint16_t> narrow;
    std::memcpy(&narrow, from, sizeof(narrow));
    return std::bit_cast<Packet>(__builtin_convertvector(narrow, Vector<std::uint32_t>) << 16);
  }
  [[nodiscard]] static Packet load_part(const bf16* from, Index count) {
    bf16 lanes[lane_count] = {};
    for (Index lane = 0; lane < count; ++lane) lanes[lane] = from[lane];
    return load(lanes);
  }
  static void store(bf16* to, const Packet& packet, Index count = lane_count) {
    const auto bits = std::bit_cast<Vector<std::uint32_t>>(packet);
    const auto rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    const auto nan = std::bit_cast<Vector<std::uint32_t>>((bits & 0x7fffffffu) > 0x7f800000u);
    const auto narrow = __builtin_convertvector((nan & 0x7fc0u) | (~nan & rounded), Vector<std::uint16_t>);
    if (count >= lane_count) return static_cast<void>(std::memcpy(to, &narrow, sizeof(narrow)));
    bf16 lanes[lane_count];
    std::memcpy(lanes, &narrow, sizeof(narrow));
    for (Index lane = 0; lane < count; ++lane) to[lane] = lanes[lane];
  }

 private:
  template <class X>
  struct VectorOf {
    typedef X type __attribute__((vector_size(lane_count * sizeof(X))));
  };
  template <class X>
  using Vector = typename VectorOf<X>::type;
};

/// How packs of M lie in memory that holds them as Stored: one as the other, or floats as bf16.
template <class M, class Stored>
using PacketsInMemory = std::conditional_t<std::is_same_v<Stored, bf16>, Bf16Lanes<>, Packets<M>>;
}  // namespace detail

/// A pack of numbers, which memory may hold in fewer bits.
template <class X, class Stored>
[[nodiscard]] X whole_lanes(const Stored* from) {
  using M = formula::lane_t<X>;
  if constexpr (std::is_same_v<Stored, M>) {
    return Eigen::Map<const X>(from);
  } else if constexpr (!std::is_same_v<Stored, bf16>) {
    return Eigen::Map<const Pack<Stored>>(from).template cast<M>();
  } else {
    X lanes;
    using P = detail::PacketsInMemory<M, Stored>;
    P::each([&](Index first) { Eigen::internal::pstoreu(lanes.data() + first, P::load(from + first)); });
    return lanes;
  }
}
/// 0 < count < pack_width numbers as a pack; what stands in the lanes after them has no meaning.
template <class X, class Stored>
[[nodiscard]] X first_lanes(const Stored* from, Index count) {
  using M = formula::lane_t<X>;
  using P = detail::PacketsInMemory<M, Stored>;
  if (count == 1) return X::Constant(static_cast<M>(*from));
  if constexpr (!std::is_same_v<Stored, M> && !std::is_same_v<Stored, bf16>) {
    return first_lanes<Pack<Stored>>(from, count).template cast<M>();
  } else {
    X lanes;
    P::each([&](Index first) {
      const Index some = count - first;
      Eigen::internal::pstoreu(lanes.data() + first, some >= P::size ? P::load(from + first)
                                                     : some > 0      ? P::load_part(from + first, some)
                                                                     : P::constant(0));
    });
    return lanes;
  }
}
/// The first `count` lanes, and another number in those after them.
template <class T>
[[nodiscard]] Pack<T> keep_lanes(const Pack<T>& lanes, Index count, T other) {
  using P = detail::Packets<T>;
  Pack<T> kept;
  P::each([&](Index first) {
    const auto number = Eigen::internal::plset<typename P::Packet>(static_cast<T>(first));
    const auto below = Eigen::internal::pcmp_lt(number, P::constant(static_cast<T>(count)));
    P::store(kept.data() + first, Eigen::internal::pselect(below, P::load(lanes.data() + first), P::constant(other)));
  });
  return kept;
}
/// The first `count` lanes go to memory.
template <class Stored>
void store_lanes(Stored* to, const Pack<master_t<Stored>>& lanes, Index count = pack_width) {
  using M = master_t<Stored>;
  using P = detail::PacketsInMemory<M, Stored>;
  if (count == 1) return static_cast<void>(*to = static_cast<Stored>(lanes[0]));
  P::each([&](Index first) {
    const Index some = count - first;
    if (some <= 0) return;
    P::store(to + first, detail::Packets<M>::load(lanes.data() + first), some);
  });
}

}  // namespace binllm

#pragma GCC diagnostic pop
