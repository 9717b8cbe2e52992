// SPDX-License-Identifier: MIT
/// tanh(t x) and its slope 1 - tanh(t x)^2 for many x at one t: what the fast forms of estimators are made of.
#pragma once
#include <binllm/policy/estimator.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

namespace binllm {

namespace detail {

/// What one vector of floats needs of e = exp(-2 t |x|) = 2^u, with k = round(u) and f = u - k:
///   p = 2^f - 1 as a polynomial (minimax, relative error 1.1e-8)
///   e = 2^k + 2^k p;   1 - e = (1 - 2^k) - 2^k p
/// Where k = 0 the latter is -p, elsewhere 1 - 2^k >= 1/2: neither cancels. Hence
///   tanh(t |x|) = (1 - e) / (1 + e)     keeps its relative accuracy down to the smallest x
///   slope = 4 e / (1 + e)^2             keeps it up to the largest, until e < 2^-126 counts as 0
template <class Packet>
struct DecayPacket {
  Packet e, one_minus_e, reciprocal;  ///< 1 / (1 + e)

  /// exponent is -2 t / ln 2. NaN gives NaN: pmax takes the first argument then.
  [[gnu::always_inline]] DecayPacket(const Packet& x, float exponent) {
    namespace lanes = Eigen::internal;
    const auto all = [](float value) { return lanes::pset1<Packet>(value); };
    const auto add = [](const Packet& a, const Packet& b, const Packet& c) { return lanes::pmadd(a, b, c); };
    const Packet u = lanes::pmax(lanes::pmul(lanes::pabs(x), all(exponent)), all(-127.0f));
    const Packet k = lanes::print(u), f = lanes::psub(u, k), f2 = lanes::pmul(f, f);
    const Packet low = add(all(0.240226492f), f, all(0.693147182f));
    const Packet middle = add(all(0.00961823761f), f, all(0.0555035733f));
    const Packet high = add(all(0.000154035122f), f, all(0.00133907353f));
    const Packet p = lanes::pmul(f, add(add(high, f2, middle), f2, low));
    const Packet power = power_of_two(k);
    e = add(power, p, power);
    one_minus_e = add(lanes::pnegate(power), p, lanes::psub(all(1), power));
    reciprocal = lanes::pdiv(all(1), lanes::padd(e, all(1)));
  }
  [[nodiscard, gnu::always_inline]] Packet tanh(const Packet& x) const {
    namespace lanes = Eigen::internal;
    return lanes::pxor(lanes::pmul(one_minus_e, reciprocal), lanes::pand(x, lanes::pset1<Packet>(-0.0f)));
  }
  [[nodiscard, gnu::always_inline]] Packet slope() const {
    namespace lanes = Eigen::internal;
    return lanes::pmul(lanes::pmul(lanes::pset1<Packet>(4), reciprocal), lanes::pmul(e, reciprocal));
  }

 private:
  /// For whole k from -126 to 0; 0 for k = -127, whose bits are those of 0.
  [[nodiscard, gnu::always_inline]] static Packet power_of_two(const Packet& k) {
    namespace lanes = Eigen::internal;
    using Integers = typename lanes::unpacket_traits<Packet>::integer_packet;
    const Integers biased = lanes::pcast<Packet, Integers>(lanes::padd(k, lanes::pset1<Packet>(127)));
    return lanes::preinterpret<Packet>(lanes::plogical_shift_left<23>(biased));
  }
};

/// One vector of floats, whose type is deduced: named, it would lose its alignment.
struct TanhPacket {
  float exponent;
  template <class Packet>
  [[nodiscard, gnu::always_inline]] Packet operator()(const Packet& x) const {
    return DecayPacket<Packet>(x, exponent).tanh(x);
  }
};
struct TanhSlopePacket {
  float exponent;
  template <class Packet>
  [[nodiscard, gnu::always_inline]] Packet operator()(const Packet& x) const {
    return DecayPacket<Packet>(x, exponent).slope();
  }
};
struct TanhAndSlopePacket {
  float exponent;
  template <class Packet>
  [[gnu::always_inline]] void operator()(const Packet& x, float* value, float* slope) const {
    const DecayPacket<Packet> decay(x, exponent);
    Eigen::internal::pstoreu(value, decay.tanh(x));
    Eigen::internal::pstoreu(slope, decay.slope());
  }
};

}  // namespace detail

/// tanh(t x) and 1 - tanh(t x)^2 for a finite t; floats and packs of them take both from one exponential.
/// Relative errors there:
///   value   3e-7
///   slope   3e-7 + 3e-7 |t x|, twice what the rounding of t x makes of an exact one
template <std::floating_point T>
struct ScaledTanh {
  T t;
  T exponent;  ///< -2 t / ln 2, kept finite

  constexpr explicit ScaledTanh(T sharpness)
      : t(sharpness), exponent(std::max(T(-2.885390081777926815L) * t, std::numeric_limits<T>::lowest())) {}

  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    if constexpr (in_packets<X>) {
      return formula::by_packets(x, detail::TanhPacket{exponent});
    } else {
      return formula::tanh(X(t * x));
    }
  }
  /// 4 e / (1 + e)^2 with e = exp(-2 t |x|), which does not cancel; and 2 / (1 + e) = 1 + tanh(t |x|), which spares one
  /// scalar the quotient.
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    if constexpr (in_packets<X>) {
      return formula::by_packets(x, detail::TanhSlopePacket{exponent});
    } else if constexpr (std::is_same_v<X, float>) {
      const X twice = X(1) + formula::abs(value(x));
      return formula::exp2(X(exponent * formula::abs(x))) * (twice * twice);
    } else {
      const X e = formula::exp(X(T(-2) * formula::abs(X(t * x))));
      return T(4) * e / ((T(1) + e) * (T(1) + e));
    }
  }
  /// Both, with the bits of each alone.
  template <class X>
  [[nodiscard]] constexpr ValueAndSlope<X> value_and_slope(const X& x) const {
    if constexpr (in_packets<X>) {
      using Packet = typename Eigen::internal::packet_traits<T>::type;
      ValueAndSlope<X> both;
      formula::over_packets<T>([&](Index i) {
        const Packet lanes = Eigen::internal::ploadu<Packet>(x.data() + i);
        detail::TanhAndSlopePacket{exponent}(lanes, both.value.data() + i, both.slope.data() + i);
      });
      return both;
    } else {
      return {value(x), slope(x)};
    }
  }

 private:
  template <class X>
  static constexpr bool in_packets = std::is_same_v<X, Pack<float>>&& formula::has_packets<float>;
};

}  // namespace binllm
