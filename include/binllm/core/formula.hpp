// SPDX-License-Identifier: MIT
/// The vocabulary of formulas. A formula is a template in X, where X is a scalar or a pack of 32 scalars:
/// X in, X out, every local an X. One text then serves the vectorised loop, the tail, the test and a GPU thread.
#pragma once
#include <binllm/core/shape.hpp>

#include <Eigen/Core>
#include <cmath>
#include <type_traits>
#include <utility>

namespace binllm {

inline constexpr Index pack_width = 32;
/// Not aligned: an alignment that follows the flags would give units built with different ones different types under
/// one name.
template <class T>
using Pack = Eigen::Array<T, pack_width, 1, Eigen::ColMajor | Eigen::DontAlign>;

namespace formula {

template <class X>
struct Lane {
  using type = X;
};
template <class T>
struct Lane<Pack<T>> {
  using type = T;
};
/// The scalar type of X.
template <class X>
using lane_t = typename Lane<X>::type;
template <class X>
inline constexpr bool is_pack = !std::is_same_v<X, lane_t<X>>;

/// Whether Eigen computes scalars T in vectors of the machine.
template <class T>
inline constexpr bool has_packets = Eigen::internal::packet_traits<T>::Vectorizable;
/// Calls body(i) for the first lane i of each machine vector of a pack; written out, so that packs stay in registers.
template <class T, class Body>
[[gnu::always_inline]] inline void over_packets(const Body& body) {
  constexpr Index width = Eigen::internal::packet_traits<T>::size;
  const auto all = [&body]<Index... i>(std::integer_sequence<Index, i...>) { (body(i * width), ...); };
  all(std::make_integer_sequence<Index, pack_width / width>{});
}
/// f of each machine vector of a pack, for what Eigen's arrays would do lane by lane. f takes and gives Eigen packets.
template <class T, class F>
[[nodiscard, gnu::always_inline]] inline Pack<T> by_packets(const Pack<T>& x, const F& f) {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  Pack<T> y;
  over_packets<T>([&](Index i) {
    Eigen::internal::pstoreu(y.data() + i, f(Packet(Eigen::internal::ploadu<Packet>(x.data() + i))));
  });
  return y;
}

template <class X>
[[nodiscard]] constexpr X splat(lane_t<X> value) {
  if constexpr (is_pack<X>) {
    return X::Constant(value);
  } else {
    return value;
  }
}
template <class X>
[[nodiscard]] constexpr X abs(const X& x) {
  if constexpr (is_pack<X>) {
    return x.abs();
  } else {
    return std::abs(x);
  }
}
template <class X>
[[nodiscard]] constexpr X exp(const X& x) {
  if constexpr (is_pack<X>) {
    return x.exp();
  } else {
    return std::exp(x);
  }
}
template <class X>
[[nodiscard]] constexpr X square(const X& x) {
  return x * x;
}
/// 2^x; a pack lane by lane.
template <class X>
[[nodiscard]] constexpr X exp2(const X& x) {
  if constexpr (is_pack<X>) {
    return x.unaryExpr([](lane_t<X> lane) { return std::exp2(lane); });
  } else {
    return std::exp2(x);
  }
}
/// The logarithm to base 2; a pack lane by lane.
template <class X>
[[nodiscard]] constexpr X log2(const X& x) {
  if constexpr (is_pack<X>) {
    return x.unaryExpr([](lane_t<X> lane) { return std::log2(lane); });
  } else {
    return std::log2(x);
  }
}
template <class X>
[[nodiscard]] constexpr X sqrt(const X& x) {
  if constexpr (is_pack<X>) {
    return x.sqrt();
  } else {
    return std::sqrt(x);
  }
}
/// The nearest whole number; the even one of two.
template <class X>
[[nodiscard]] constexpr X rint(const X& x) {
  if constexpr (is_pack<X>) {
    return x.rint();
  } else {
    return std::rint(x);
  }
}
template <class X>
[[nodiscard]] constexpr X max(const X& x, lane_t<X> least) {
  if constexpr (is_pack<X>) {
    return x.max(least);
  } else {
    return x > least ? x : least;
  }
}
template <class X>
[[nodiscard]] constexpr X min(const X& x, lane_t<X> most) {
  if constexpr (is_pack<X>) {
    return x.min(most);
  } else {
    return x < most ? x : most;
  }
}
template <class X>
[[nodiscard]] constexpr X tanh(const X& x) {
  if constexpr (is_pack<X>) {
    return x.tanh();
  } else {
    return std::tanh(x);
  }
}
/// (2 / sqrt(pi)) int_0^x e^{-z^2} dz; a pack lane by lane.
template <class X>
[[nodiscard]] constexpr X erf(const X& x) {
  if constexpr (is_pack<X>) {
    return x.unaryExpr([](lane_t<X> lane) { return std::erf(lane); });
  } else {
    return std::erf(x);
  }
}
/// y = x.
struct Identity {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& x) const {
    return x;
  }
};
/// sgn with sgn(0) = +1, so that one bit is enough.
template <class X>
[[nodiscard]] constexpr X sign(const X& x) {
  if constexpr (is_pack<X> && has_packets<lane_t<X>>) {
    return by_packets(x, [](const auto& lanes) {
      using Packet = std::decay_t<decltype(lanes)>;
      const Packet zero = Eigen::internal::pset1<Packet>(0), one = Eigen::internal::pset1<Packet>(1);
      return Eigen::internal::pselect(Eigen::internal::pcmp_le(zero, lanes), one, Eigen::internal::pnegate(one));
    });
  } else if constexpr (is_pack<X>) {
    return (x >= lane_t<X>(0)).select(X::Ones(), -X::Ones());
  } else {
    return x >= X(0) ? X(1) : X(-1);
  }
}
/// Heaviside's step: 1 from 0 on, else 0.
template <class X>
[[nodiscard]] constexpr X step(const X& x) {
  return lane_t<X>(0.5) * (lane_t<X>(1) + sign(x));
}
/// The derivative of |x|: -1, 0, +1, with 0 at 0.
template <class X>
[[nodiscard]] constexpr X abs_slope(const X& x) {
  if constexpr (is_pack<X> && has_packets<lane_t<X>>) {
    return by_packets(x, [](const auto& lanes) {
      using Packet = std::decay_t<decltype(lanes)>;
      const Packet zero = Eigen::internal::pset1<Packet>(0), one = Eigen::internal::pset1<Packet>(1);
      return Eigen::internal::psub(Eigen::internal::pand(Eigen::internal::pcmp_lt(zero, lanes), one),
                                   Eigen::internal::pand(Eigen::internal::pcmp_lt(lanes, zero), one));
    });
  } else if constexpr (is_pack<X>) {
    return x.sign();
  } else {
    return X((x > X(0)) - (x < X(0)));
  }
}

}  // namespace formula
}  // namespace binllm
