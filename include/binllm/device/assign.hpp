// SPDX-License-Identifier: MIT
/// Writing without computing: what backward starts from, what parameters start from, moves between layouts.
#pragma once
#include <binllm/core/random.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

/// y += x
struct Accumulate {};
template <>
inline constexpr bool cuda::shipped<Accumulate> = true;
template <class Device>
struct GenericKernel<Accumulate, Device> {
  template <class T>
  static void forward(View<const T, Device> x, Gradient<T, Device> y) {
    Backend<Device>::template map<Write::accumulate>(Target<T>(y), formula::Identity{}, elements(x));
  }
};

/// y += value, which the host knows.
struct Fill {};
template <>
inline constexpr bool cuda::shipped<Fill> = true;
template <class Device>
struct GenericKernel<Fill, Device> {
  template <class T>
  static void forward(T value, Gradient<T, Device> y) {
    Backend<Device>::template map<Write::accumulate>(Target<T>(y), formula::Identity{}, Constant<T>{value});
  }
};

/// y = x, both with rows that may lie apart.
struct StridedCopy {};
template <>
inline constexpr bool cuda::shipped<StridedCopy> = true;
template <class Device>
struct GenericKernel<StridedCopy, Device> {
  template <class T>
  static void forward(Elements<T> x, Target<T> y) {
    Backend<Device>::map(y, formula::Identity{}, x);
  }
};

/// y_i = deviation * the i-th normal number of `random`.
struct NormalFill {
  /// As an operand: column i gives the i-th number.
  struct Draws {
    Random random;
    double deviation;
    template <class X>
    [[nodiscard]] constexpr X load(Index, Index col) const {
      if constexpr (formula::is_pack<X>) {
        X lanes;
        for (Index lane = 0; lane < pack_width; ++lane) lanes[lane] = number<formula::lane_t<X>>(col + lane);
        return lanes;
      } else {
        return number<X>(col);
      }
    }
    template <class T>
    [[nodiscard]] constexpr T number(Index i) const {
      return static_cast<T>(deviation * random.normal<double>(static_cast<std::uint64_t>(i)));
    }
  };
};
template <>
inline constexpr bool cuda::shipped<NormalFill> = true;
template <class Device>
struct GenericKernel<NormalFill, Device> {
  template <class T>
  static void forward(Random random, double deviation, View<T, Device> y) {
    Backend<Device>::map(y.reshaped(Shape{1, y.size()}), formula::Identity{}, NormalFill::Draws{random, deviation});
  }
};

}  // namespace binllm
