// SPDX-License-Identifier: MIT
/// The fast Walsh-Hadamard transform: sums and differences of halves, log2 B times. A private tail of
/// ops/hadamard.hpp; the generic kernel there is its definition.
#pragma once
#include <algorithm>
#include <utility>

namespace binllm {

template <>
struct Kernel<Hadamard, Cpu> {
  static Index workspace(Index) { return 0; }
  template <class T>
  static void forward(View<const T> x, Index block, View<T>, View<T> y) {
    transform(x, block, [&](Index first, Index count, const master_t<T>* result) {
      for (Index i = 0; i < count; ++i) y.data[first + i] = static_cast<T>(result[i]);
    });
  }
  template <class T>
  static void backward(View<const T> dy, Index block, View<T>, Into<T, Cpu> dx) {
    if (!dx) return;
    if (dx.fresh) return forward(dy, block, {}, dx.view);
    transform(dy, block, [&](Index first, Index count, const master_t<T>* result) {
      for (Index i = 0; i < count; ++i) dx.view.data[first + i] = static_cast<T>(dx.view.data[first + i] + result[i]);
    });
  }

 private:
  /// Calls write(first, count, result) for each block.
  template <class T, class Write>
  static void transform(View<const T> x, Index block, const Write& write) {
    using M = master_t<T>;
    const auto entry = static_cast<M>(1 / std::sqrt(static_cast<double>(block)));
    const Index blocks = x.size() / block, at_once = std::max<Index>(1, Backend<Cpu>::tile_elements / block);
    parallel_for((blocks + at_once - 1) / at_once, [&](Index tile) {
      M values[largest_hadamard_block];
      for (Index k = tile * at_once; k < std::min(blocks, (tile + 1) * at_once); ++k) {
        for (Index i = 0; i < block; ++i) values[i] = entry * x.data[k * block + i];
        stages(values, block, std::integer_sequence<Index, 1, 2, 4, 8, 16, 32, 64>{});
        write(k * block, block, values);
      }
    });
  }
  template <class T, Index... half>
  static void stages(T* values, Index block, std::integer_sequence<Index, half...>) {
    static_assert(2 * std::max({half...}) == largest_hadamard_block);
    (stage<half>(values, block), ...);
  }
  /// a, b -> a + b, a - b of numbers `half` apart, which is a constant: short loops then are vectors too.
  template <Index half, class T>
  static void stage(T* values, Index block) {
    if (half >= block) return;
    for (Index pair = 0; pair < block; pair += 2 * half) {
      for (Index i = pair; i < pair + half; ++i) {
        const T a = values[i], b = values[i + half];
        values[i] = a + b, values[i + half] = a - b;
      }
    }
  }
};

}  // namespace binllm
