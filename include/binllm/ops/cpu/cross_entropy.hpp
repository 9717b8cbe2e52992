// SPDX-License-Identifier: MIT
/// Cross-entropy of a row while it lies in the cache: maximum, exponentials in place with their sum, one scaling.
/// A private tail of ops/cross_entropy.hpp; the generic kernel there is its definition.
#pragma once

namespace binllm {

template <>
struct Kernel<CrossEntropyRows, Cpu> {
  static Index workspace(Index) { return 0; }

  template <class T, class M>
  static void forward(View<T> logits, View<const std::int32_t> targets, std::type_identity_t<M> weight, bool gradient,
                      View<M>, View<M> losses) {
    const Index words = logits.cols();
    parallel_for(logits.rows(), [&](Index n) {
      const cpu::FlushSubnormals flush;
      T* const z = logits.data + n * words;
      const Elements<T> row{z, words};
      const M most = cpu::reduce_row<Max, M>(0, words, formula::Identity{}, row);
      const M at_target = z[targets.data[n]];
      const Softmax::Exponential exponential;
      if constexpr (std::is_same_v<T, M>) {
        const T total = gradient ? cpu::map_and_reduce_row<Sum>(z, 0, words, exponential, row, Uniform<T>{&most})
                                 : cpu::reduce_row<Sum, T>(0, words, exponential, row, Uniform<T>{&most});
        losses.data[n] = std::log(total) + most - at_target;
        if (!gradient) return;
        cpu::map_block<Write::assign>(std::array{Target<T>(z, 1, words, words)}, {0, 1, 0, words},
                                      Times<T>{weight / total}, row);
        z[targets.data[n]] -= weight;
      } else {  // exponentials again rather than rounded twice
        const M total = cpu::reduce_row<Sum, M>(0, words, exponential, row, Uniform<M>{&most});
        losses.data[n] = std::log(total) + most - at_target;
        if (!gradient) return;
        cpu::map_block<Write::assign>(std::array{Target<T>(z, 1, words, words)}, {0, 1, 0, words},
                                      ScaledExponential<M>{weight / total}, row, Uniform<M>{&most});
        z[targets.data[n]] = T(weight * (std::exp(at_target - most) / total - M(1)));
      }
    });
  }

 private:
  template <class M>
  struct ScaledExponential {
    M factor;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& most) const {
      return factor * formula::exp(X(x - most));
    }
  };
};

}  // namespace binllm
