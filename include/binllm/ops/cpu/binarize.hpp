// SPDX-License-Identifier: MIT
/// The binarising op on the CPU where the weights of a scale group lie side by side (a row, or a part of one): a group
/// is read from memory once, and its further passes find it in the cache. A private tail of ops/binarize.hpp; the
/// generic kernel there is its definition, and computes the other granularities.
#pragma once
#include <binllm/ops/fast/rows.hpp>

namespace binllm {

template <Estimator E, class S>
struct Kernel<Binarize<E, S>, Cpu> {
  using T = typename E::value_type;
  using Op = Binarize<E, S>;
  using Generic = GenericKernel<Op, Cpu>;
  using At = decltype(prepared(std::declval<const E&>(), T{}));
  using Rows = EstimatorRows<T, At>;
  using Out = View<T>;
  using In = View<const T>;

  static Index workspace(const S& scale, const Shape& weight) {
    return by_group(scale.traits()) ? 0 : Generic::workspace(scale, weight);
  }

  template <class C>
  static void forward(const E& estimator, const S& scale, In w, In learned, const double* t, Out memory, View<C> wb) {
    const ScaleTraits traits = scale.traits();
    if (!by_group(traits)) return generic([&](auto k) { k.forward(estimator, scale, w, learned, t, memory, wb); });
    if constexpr (may_be_by_group) {
      const Groups groups(traits, w, learned);
      const At at = prepared(estimator, static_cast<T>(*t));
      groups.each([&](Index i) {
        const Group group = groups[i];
        Rows::forward(at, group.row(group.factor, static_cast<const C*>(nullptr), groups.at(wb, i)));
      });
    }
  }

  template <class C>
  static void backward(const E& estimator, const S& scale, In w, In learned, const double* t, View<const C> g,
                       Out memory, Out dw, Out dlearned) {
    const ScaleTraits traits = scale.traits();
    if (!by_group(traits))
      return generic([&](auto k) { k.backward(estimator, scale, w, learned, t, g, memory, dw, dlearned); });
    if constexpr (may_be_by_group) {
      const Groups groups(traits, w, learned);
      const At at = prepared(estimator, static_cast<T>(*t));
      if (!traits.learned) dlearned = {};  // the gradient of an empty leaf is a block that holds nothing
      const bool through_scale = traits.analytic && traits.attached && dw;
      groups.each([&](Index i) {
        const Group group = groups[i];
        const EstimatorRow<T, C> row = group.row(group.gain, groups.at(g, i), dw ? groups.at(dw, i) : nullptr);
        if (!dlearned && !through_scale) {
          if (dw) Rows::backward(at, row);
          return;
        }
        const EstimatorSums<T> sums = Rows::backward_with_sums(at, row);
        if (dlearned) dlearned.data[i] += traits.analytic ? group.scale * sums.value : group.alive * sums.scale;
        if (through_scale) add_sign(row, group.gain * (groups.weight * sums.scale));
      });
    }
  }

 private:
  static constexpr bool contiguous(Granularity granularity) {
    return granularity == Granularity::row || granularity == Granularity::group;
  }
  /// Where the scale policy fixes the granularity at compile time, only that way is compiled.
  static constexpr bool may_be_by_group = [] {
    if constexpr (StaticScale<S>) {
      return contiguous(S::traits().granularity);
    } else {
      return true;
    }
  }();
  static bool by_group(const ScaleTraits& traits) { return may_be_by_group && contiguous(traits.granularity); }
  template <class Body>
  static void generic(const Body& body) {
    if constexpr (!may_be_by_group || !StaticScale<S>) body(Generic{});
  }

  /// One scale group.
  struct Group : ScaleGroup<T> {
    const T *w, *next;
    Index size;
    template <class C, class O>
    [[nodiscard]] EstimatorRow<T, C, O> row(T times, const C* g, O* out) const {
      return {.w = w, .next = next, .g = g, .size = size, .reciprocal = this->reciprocal, .factor = times, .out = out};
    }
  };
  struct Groups {
    ScaleTraits traits;
    In w, learned;
    Index count, members;  // groups of `members` weights each
    T weight;              // 1/n

    Groups(const ScaleTraits& policy, In weights, In scales)
        : traits(policy),
          w(weights),
          learned(scales),
          count(traits.shape(w.shape[0], w.shape[1]).size()),
          members(w.size() / count),
          weight(T(1) / static_cast<T>(members)) {}
    template <class V>
    [[nodiscard]] auto at(const V& view, Index i) const {
      return view.data + i * members;
    }
    [[nodiscard]] Group operator[](Index i) const {
      const T *row = at(w, i), *next = at(w, std::min(i + 1, count - 1));
      if (!traits.analytic) return {scale_group(learned.data[i], T(1)), row, next, members};
      return {scale_group(mean_magnitude(row), traits.learned ? learned.data[i] : T(1)), row, next, members};
    }
    /// In the order of Backend<Cpu>::row_reduce, so that S_a has the bits that every other pass over W finds.
    [[nodiscard, gnu::flatten]] T mean_magnitude(const T* row) const {
      const typename Op::Magnitude magnitude{weight};
      Pack<T> lanes = Pack<T>::Zero();
      Index c = 0;
      for (; c + pack_width <= members; c += pack_width)
        lanes += magnitude(Pack<T>(Eigen::Map<const Pack<T>>(row + c)));
      T total = lanes.sum();
      for (; c < members; ++c) total += magnitude(row[c]);
      return total;
    }
    template <class Body>
    void each(const Body& body) const {
      const Index height = Backend<Cpu>::tile_elements / std::max<Index>(members, 1);
      cpu::over_blocks(count, 1, height, 1, [&](const cpu::Block& block) {
        for (Index i = block.row; i < block.row_end; ++i) body(i);
      });
    }
  };

  /// dW += sgn(w) * amount: what flows through S_a.
  template <class C>
  [[gnu::flatten]] static void add_sign(const EstimatorRow<T, C>& row, T amount) {
    Index c = 0;
    for (; c + pack_width <= row.size; c += pack_width) {
      const Pack<T> w = Eigen::Map<const Pack<T>>(row.w + c);
      Eigen::Map<Pack<T>>(row.out + c) += formula::abs_slope(w) * amount;
    }
    for (; c < row.size; ++c) row.out[c] += formula::abs_slope(row.w[c]) * amount;
  }
};

}  // namespace binllm
