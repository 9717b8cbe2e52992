// SPDX-License-Identifier: MIT
/// An estimator chosen by name, as kernels run it: a table holds the loops over a row of weights for the type behind
/// each name, so a row costs one indirect call.
#pragma once
#include <binllm/device/cpu_formulas.hpp>
#include <binllm/ops/fast/blended_sign.hpp>
#include <binllm/ops/fast/progressive_sign.hpp>
#include <binllm/ops/fast/rows.hpp>
#include <binllm/ops/fast/straight_through.hpp>
#include <binllm/ops/fast/then_sign.hpp>
#include <binllm/policy/runtime.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace binllm {

/// What an estimator has computed of t, whatever its type.
using EstimatorConstants = std::array<std::byte, 64>;

template <std::floating_point T>
struct EstimatorLoops {
  using Constants = EstimatorConstants;
  Constants (*at)(T);
  T (*value)(const Constants&, T);
  T (*slope)(const Constants&, T);
  void (*pack_value)(const Constants&, Pack<T>&);  // in place: packs are passed by address
  void (*pack_slope)(const Constants&, Pack<T>&);
  void (*forward)(const Constants&, const EstimatorRow<T>&);
  EstimatorSums<T> (*backward_with_sums)(const Constants&, const EstimatorRow<T>&);
  void (*backward)(const Constants&, const EstimatorRow<T>&);
};

/// These functions, for an estimator without members.
template <Estimator E>
struct ErasedEstimator {
  using T = typename E::value_type;
  using At = decltype(prepared(E{}, T{}));
  using Rows = EstimatorRows<T, At>;
  using Constants = EstimatorConstants;
  static_assert(sizeof(At) <= sizeof(Constants), "the constants of an estimator by name fit into 64 bytes");

  static Constants at(T t) {
    const At constants = prepared(E{}, t);
    Constants memory{};
    std::memcpy(memory.data(), &constants, sizeof(At));
    return memory;
  }
  static At of(const Constants& memory) {
    std::array<std::byte, sizeof(At)> bytes;
    std::memcpy(bytes.data(), memory.data(), sizeof(At));
    return std::bit_cast<At>(bytes);
  }
  static T value(const Constants& c, T x) { return of(c).value(x); }
  static T slope(const Constants& c, T x) { return of(c).slope(x); }
  static void pack_value(const Constants& c, Pack<T>& x) { x = Pack<T>(value_at(of(c), x)); }
  static void pack_slope(const Constants& c, Pack<T>& x) { x = Pack<T>(slope_at(of(c), x)); }
  static void forward(const Constants& c, const EstimatorRow<T>& row) { Rows::forward(of(c), row); }
  static EstimatorSums<T> backward_with_sums(const Constants& c, const EstimatorRow<T>& row) {
    return Rows::backward_with_sums(of(c), row);
  }
  static void backward(const Constants& c, const EstimatorRow<T>& row) { Rows::backward(of(c), row); }
};
template <Estimator E>
inline constexpr EstimatorLoops<typename E::value_type> estimator_loops{ErasedEstimator<E>::at,
                                                                        ErasedEstimator<E>::value,
                                                                        ErasedEstimator<E>::slope,
                                                                        ErasedEstimator<E>::pack_value,
                                                                        ErasedEstimator<E>::pack_slope,
                                                                        ErasedEstimator<E>::forward,
                                                                        ErasedEstimator<E>::backward_with_sums,
                                                                        ErasedEstimator<E>::backward};

/// An estimator chosen by name, at one sharpness.
template <std::floating_point T>
struct RuntimeAt {
  const EstimatorLoops<T>* loops = nullptr;
  EstimatorConstants constants{};

  template <class X>
  [[nodiscard]] X value(const X& x) const {
    return apply(loops->value, loops->pack_value, x);
  }
  template <class X>
  [[nodiscard]] X slope(const X& x) const {
    return apply(loops->slope, loops->pack_slope, x);
  }

 private:
  template <class X>
  [[nodiscard]] X apply(T (*scalar)(const EstimatorConstants&, T), void (*pack)(const EstimatorConstants&, Pack<T>&),
                        const X& x) const {
    if constexpr (formula::is_pack<X>) {
      X lanes = x;
      pack(constants, lanes);
      return lanes;
    } else {
      return scalar(constants, x);
    }
  }
};
template <std::floating_point T>
struct FastForm<RuntimeEstimator<T>> {
  [[nodiscard]] static RuntimeAt<T> at(const RuntimeEstimator<T>& estimator, T t) {
    const EstimatorLoops<T>* loops = nullptr;
    with_estimator(estimator, [&]<Estimator E>(const E&) { loops = &estimator_loops<E>; });
    return {loops, loops->at(t)};
  }
};

/// Rows of an estimator chosen by name are those of the estimator itself: one indirect call each. W_b and gradients in
/// fewer bits pass through numbers of T, some at a time, so that no estimator is compiled twice.
template <std::floating_point T>
struct EstimatorRows<T, RuntimeAt<T>> {
  template <class C>
  static void forward(const RuntimeAt<T>& at, const EstimatorRow<T, C, C>& row) {
    if constexpr (std::is_same_v<C, T>) {
      at.loops->forward(at.constants, row);
    } else {
      T made[at_once];
      over_parts(row.size, [&](Index first, Index count) {
        at.loops->forward(at.constants, part(row, first, count, nullptr, made));
        convert(made, count, row.out + first);
      });
    }
  }
  template <class C>
  [[nodiscard]] static EstimatorSums<T> backward_with_sums(const RuntimeAt<T>& at, const EstimatorRow<T, C>& row) {
    EstimatorSums<T> sums;
    with_gradient(row, [&](const EstimatorRow<T>& some) {
      const EstimatorSums<T> more = at.loops->backward_with_sums(at.constants, some);
      sums = {sums.value + more.value, sums.scale + more.scale};
    });
    return sums;
  }
  template <class C>
  static void backward(const RuntimeAt<T>& at, const EstimatorRow<T, C>& row) {
    with_gradient(row, [&](const EstimatorRow<T>& some) { at.loops->backward(at.constants, some); });
  }

 private:
  static constexpr Index at_once = 1024;

  template <class Body>
  static void over_parts(Index size, const Body& body) {
    for (Index first = 0; first < size; first += at_once) body(first, std::min(at_once, size - first));
  }
  template <class From, class To>
  static void convert(const From* from, Index count, To* to) {
    cpu::map_block<Write::assign>(std::array{Target<To>(to, 1, count, count)}, {0, 1, 0, count}, formula::Identity{},
                                  Elements<From>{from, count});
  }
  template <class C, class Out>
  [[nodiscard]] static EstimatorRow<T> part(const EstimatorRow<T, C, Out>& row, Index first, Index count, const T* g,
                                            T* out) {
    return {row.w + first, row.next + first, g, count, row.reciprocal, row.factor, out};
  }
  /// Calls body(part of the row) with gradients that are numbers of T.
  template <class C, class Body>
  static void with_gradient(const EstimatorRow<T, C>& row, const Body& body) {
    if constexpr (std::is_same_v<C, T>) {
      body(row);
    } else {
      T g[at_once];
      over_parts(row.size, [&](Index first, Index count) {
        convert(row.g + first, count, g);
        body(part(row, first, count, g, row.out == nullptr ? nullptr : row.out + first));
      });
    }
  }
};

}  // namespace binllm
