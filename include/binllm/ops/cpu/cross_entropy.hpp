// SPDX-License-Identifier: MIT
/// Cross-entropy of a row while it lies in the cache: maximum, exponentials in place with their sum, one scaling.
/// A private tail of ops/cross_entropy.hpp; the generic kernel there is its definition.
#pragma once

namespace binllm {

template <>
struct Kernel<CrossEntropyRows, Cpu> {
  static Index workspace(Index) { return 0; }

  template <class T>
  static void forward(View<T> logits, View<const std::int32_t> targets, T weight, bool gradient, View<T>,
                      View<T> losses) {
    const Index words = logits.cols();
    parallel_for(logits.rows(), [&](Index n) {
      T* const z = logits.data + n * words;
      const Elements<T> row{z, words};
      const T most = cpu::reduce_row<Max, T>(0, words, formula::Identity{}, row), at_target = z[targets.data[n]];
      const Softmax::Exponential exponential;
      const T total = gradient ? cpu::map_and_reduce_row<Sum>(z, 0, words, exponential, row, Uniform<T>{&most})
                               : cpu::reduce_row<Sum, T>(0, words, exponential, row, Uniform<T>{&most});
      losses.data[n] = std::log(total) + most - at_target;
      if (!gradient) return;
      cpu::map_block<Write::assign>(std::array{Target<T>(z, 1, words, words)}, {0, 1, 0, words},
                                    Times<T>{weight / total}, row);
      z[targets.data[n]] -= weight;
    });
  }
};

}  // namespace binllm
