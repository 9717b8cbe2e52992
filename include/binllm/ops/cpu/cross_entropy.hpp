// SPDX-License-Identifier: MIT
/// Cross-entropy of a row while it lies in the cache: maximum, exponentials in place, one scaling.
/// A private tail of ops/cross_entropy.hpp; the generic kernel there is its definition.
#pragma once

namespace binllm {

template <>
struct Kernel<CrossEntropy, Cpu> {
  static Index workspace(Index) { return 0; }

  template <class T>
  static void forward(View<T> logits, View<const std::int32_t> targets, T weight, bool gradient, View<T>,
                      View<T> losses) {
    parallel_for(logits.rows(), [&](Index n) {
      auto z = logits.row(n);
      const T most = z.maxCoeff(), at_target = z[targets.data[n]];
      z = (z - most).exp();
      const T total = z.sum();
      losses.data[n] = std::log(total) + most - at_target;
      if (!gradient) return;
      z *= weight / total;
      z[targets.data[n]] -= weight;
    });
  }
};

}  // namespace binllm
