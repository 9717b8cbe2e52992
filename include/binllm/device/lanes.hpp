// SPDX-License-Identifier: MIT
/// The part of a pack that lies at the end of a row. Written on Eigen's packets: a pack whose address is taken would
/// leave the registers, here and in every loop that it comes from.
#pragma once
#include <binllm/core/formula.hpp>

#include <algorithm>
#include <utility>

namespace binllm {

namespace detail {
template <class T>
struct Packets {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  using Traits = Eigen::internal::unpacket_traits<Packet>;
  static constexpr Index size = Traits::size;

  /// Bits of the first `count` lanes.
  static auto mask(Index count) { return static_cast<typename Traits::mask_t>((1u << count) - 1u); }
  /// The first count numbers (fewer than a packet has lanes), zeros after them.
  static Packet load(const T* from, Index count) {
    if constexpr (Traits::masked_load_available) {
      return Eigen::internal::ploadu<Packet>(from, mask(count));
    } else {
      T lanes[size] = {};
      for (Index lane = 0; lane < count; ++lane) lanes[lane] = from[lane];
      return Eigen::internal::ploadu<Packet>(lanes);
    }
  }
  static void store(T* to, const Packet& value, Index count) {
    if constexpr (Traits::masked_store_available) {
      Eigen::internal::pstoreu(to, value, mask(count));
    } else {
      T lanes[size];
      Eigen::internal::pstoreu(lanes, value);
      for (Index lane = 0; lane < count; ++lane) to[lane] = lanes[lane];
    }
  }
  /// Calls body(first lane, how many of its lanes lie before `count`) for each packet of a pack.
  template <class Body>
  static void each(Index count, const Body& body) {
    [&]<Index... k>(std::integer_sequence<Index, k...>) {
      (body(k * size, std::clamp<Index>(count - k * size, 0, size)), ...);
    }(std::make_integer_sequence<Index, pack_width / size>{});
  }
};
}  // namespace detail

/// `count` numbers as a pack, zeros after them.
template <class X>
[[nodiscard]] X first_lanes(const formula::lane_t<X>* from, Index count) {
  using T = formula::lane_t<X>;
  using P = detail::Packets<T>;
  if (count == 1) return X::Constant(*from);
  X lanes;
  P::each(count, [&](Index first, Index some) {
    Eigen::internal::pstoreu(lanes.data() + first, some == P::size ? Eigen::internal::ploadu<typename P::Packet>(from + first)
                                                   : some == 0 ? Eigen::internal::pset1<typename P::Packet>(T(0))
                                                               : P::load(from + first, some));
  });
  return lanes;
}
/// The first `count` lanes go to memory.
template <class T>
void store_lanes(T* to, const Pack<T>& lanes, Index count) {
  using P = detail::Packets<T>;
  if (count == 1) return void(*to = lanes[0]);
  P::each(count, [&](Index first, Index some) {
    const auto packet = Eigen::internal::ploadu<typename P::Packet>(lanes.data() + first);
    if (some == P::size) {
      Eigen::internal::pstoreu(to + first, packet);
    } else if (some > 0) {
      P::store(to + first, packet, some);
    }
  });
}
/// The first `count` lanes, and another number in those after them.
template <class T>
[[nodiscard]] Pack<T> keep_lanes(const Pack<T>& lanes, Index count, T other) {
  using P = detail::Packets<T>;
  using namespace Eigen::internal;
  Pack<T> kept;
  P::each(count, [&](Index first, Index) {
    const auto number = plset<typename P::Packet>(static_cast<T>(first));
    const auto kept_lanes = pcmp_lt(number, pset1<typename P::Packet>(static_cast<T>(count)));
    pstoreu(kept.data() + first, pselect(kept_lanes, ploadu<typename P::Packet>(lanes.data() + first), pset1<typename P::Packet>(other)));
  });
  return kept;
}

}  // namespace binllm
