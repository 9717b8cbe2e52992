// SPDX-License-Identifier: MIT
/// A prepared estimator over weights that lie side by side and share a scale: the inner loops of the binarising op,
/// for any estimator.
#pragma once
#include <binllm/device/lanes.hpp>
#include <binllm/ops/fast/form.hpp>

#include <algorithm>

namespace binllm {

/// The weights of a scale group, and what backward wants of them. W_b and its gradient may be in fewer bits.
template <class T, class Incoming = T, class Out = T>
struct EstimatorRow {
  const T* w;
  const T* next;      ///< as many weights that will be read next: they are fetched meanwhile
  const Incoming* g;  ///< dL/dW_b; not read in forward
  Index size;
  T reciprocal;  ///< x = w * reciprocal
  T factor;      ///< forward: W_b = factor E(x); backward: dW += factor g E'(x)
  Out* out;      ///< W_b, or dW; null in backward where dW is not wanted
};
/// sum g E(x) and sum g (E(x) - x E'(x)) over a row.
template <class T>
struct EstimatorSums {
  T value = 0, scale = 0;
};

/// Loops over packs; the last, partial one is filled up with zeros, so that it is vectorised too. All formulas are
/// inlined (flatten), so that packs stay in registers.
template <class T, class A>
struct EstimatorRows {
  /// W_b = factor E(x)
  template <class C>
  [[gnu::flatten]] static void forward(const A& at, const EstimatorRow<T, C, C>& row) {
    over(row.size, [&](auto part) {
      part.fetch(row.next);
      part.store(row.out, Pack<T>(row.factor * value_at(at, Pack<T>(part.load(row.w) * row.reciprocal))));
    });
  }
  /// dW += factor g E'(x); returns the sums.
  template <class C>
  [[nodiscard, gnu::flatten]] static EstimatorSums<T> backward_with_sums(const A& at, const EstimatorRow<T, C>& row) {
    Pack<T> value = Pack<T>::Zero(), scale = Pack<T>::Zero();
    over(row.size, [&](auto part) {
      part.fetch(row.next);
      const Pack<T> x = part.load(row.w) * row.reciprocal, g = part.load(row.g);
      const ValueAndSlope<Pack<T>> e = value_and_slope_at(at, x);
      value += g * e.value;
      scale += g * (e.value - x * e.slope);
      if (row.out != nullptr) part.store(row.out, Pack<T>(part.load(row.out) + row.factor * (g * e.slope)));
    });
    return {value.sum(), scale.sum()};
  }
  /// The same without the sums, where nobody wants them.
  template <class C>
  [[gnu::flatten]] static void backward(const A& at, const EstimatorRow<T, C>& row) {
    over(row.size, [&](auto part) {
      part.fetch(row.next);
      const Pack<T> slope = slope_at(at, Pack<T>(part.load(row.w) * row.reciprocal));
      part.store(row.out, Pack<T>(part.load(row.out) + row.factor * (part.load(row.g) * slope)));
    });
  }

 private:
  static constexpr Index cache_line = 64 / sizeof(T);
  struct Whole {
    Index first;
    void fetch(const T* x) const {
      for (Index i = 0; i < pack_width; i += cache_line) Eigen::internal::prefetch(x + first + i);
    }
    template <class Stored>
    [[nodiscard]] Pack<T> load(const Stored* x) const {
      return whole_lanes<Pack<T>>(x + first);
    }
    void store(T* y, const Pack<T>& lanes) const { Eigen::Map<Pack<T>>(y + first) = lanes; }
    template <class Stored>
    void store(Stored* y, const Pack<T>& lanes) const {
      store_lanes(y + first, lanes);
    }
  };
  struct Rest {
    Index first, count;
    void fetch(const T* x) const { Eigen::internal::prefetch(x + first); }
    template <class Stored>
    [[nodiscard]] Pack<T> load(const Stored* x) const {
      Pack<T> lanes = Pack<T>::Zero();
      std::copy_n(x + first, count, lanes.data());
      return lanes;
    }
    template <class Stored>
    void store(Stored* y, const Pack<T>& lanes) const {
      for (Index i = 0; i < count; ++i) y[first + i] = static_cast<Stored>(lanes[i]);
    }
  };
  template <class Body>
  static void over(Index size, const Body& body) {
    Index first = 0;
    for (; first + pack_width <= size; first += pack_width) body(Whole{first});
    if (first < size) body(Rest{first, size - first});
  }
};

}  // namespace binllm
