// SPDX-License-Identifier: MIT
/// The part of a pack that lies at the end of a row. Loads and selections are written on Eigen's packets: a pack whose
/// address is taken leaves the registers, there and in the loop that it comes from.
#pragma once
#include <binllm/core/formula.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
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
}  // namespace detail

/// 0 < count < pack_width numbers as a pack; what stands in the lanes after them has no meaning.
template <class X>
[[nodiscard]] X first_lanes(const formula::lane_t<X>* from, Index count) {
  using P = detail::Packets<formula::lane_t<X>>;
  if (count == 1) return X::Constant(*from);
  X lanes;
  P::each([&](Index first) {
    const Index some = count - first;
    P::store(lanes.data() + first, some >= P::size ? P::load(from + first)
                                   : some > 0      ? P::load_part(from + first, some)
                                                   : P::constant(0));
  });
  return lanes;
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
template <class T>
void store_lanes(T* to, const Pack<T>& lanes, Index count) {
  using P = detail::Packets<T>;
  if (count == 1) return static_cast<void>(*to = lanes[0]);
  P::each([&](Index first) {
    const Index some = count - first;
    if (some <= 0) return;
    P::store(to + first, P::load(lanes.data() + first), some);
  });
}

}  // namespace binllm

#pragma GCC diagnostic pop
