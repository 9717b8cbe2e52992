// SPDX-License-Identifier: MIT
/// What can be said of weights on their way to one bit.
#pragma once
#include <binllm/ops/binarize.hpp>

#include <algorithm>
#include <vector>

namespace binllm {

/// How far weights have gone towards one bit, summed over linear layers.
struct BitProgress {
  Index saturated = 0, weights = 0;  ///< weights whose |F(W / S, t)| exceeds 0.99, of how many
  double scale_drift = 0;            ///< sum of |S_l - 1| over the learned scales
  Index scales = 0;                  ///< how many there are
};

/// How many of the weights of one layer are saturated; `scale` is S_l where the policy learns it.
template <class S, class At, class M>
[[nodiscard]] Index saturated_weights(const ScaleTraits& traits, const At& at, View<const M> w, View<const M> scale) {
  const GroupedBlock<Cpu, S> grouped(traits, w.shape);
  Tensor<M> reciprocal(Shape{grouped.groups});
  if (traits.analytic) {
    Kernel<MeanMagnitude, Cpu>::forward(traits, w, reciprocal.view());
  } else {
    reciprocal.view().flat() = scale.flat().abs();
  }
  Backend<Cpu>::map(reciprocal.view(), ReciprocalScale{}, elements(reciprocal.view()));
  const auto block = grouped.block(w);
  std::vector<Index> of_row(static_cast<std::size_t>(block.rows()));
  grouped.with_groups([&](auto by_group) {
    parallel_for(block.rows(), [&](Index row) {
      const auto value = [&](const Pack<M>& lanes, const Pack<M>& inverse) {
        return value_at(at, Pack<M>(lanes * inverse));
      };
      for (Index col = 0; col < block.cols(); col += pack_width) {
        const Index count = std::min(pack_width, block.cols() - col);
        const Pack<M> e =
            cpu::apply<Pack<M>>(value, row, col, count, elements(block), by_group(read(reciprocal.view())));
        of_row[static_cast<std::size_t>(row)] += (e.head(count).abs() > M(0.99)).count();
      }
    });
  });
  Index all = 0;
  for (const Index count : of_row) all += count;
  return all;
}

}  // namespace binllm
