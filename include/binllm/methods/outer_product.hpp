// SPDX-License-Identifier: MIT
/// The vectors that row and column scales start from: the outer product nearest to the magnitudes of a matrix.
#pragma once
#include <binllm/core/tensor.hpp>

#include <cmath>

namespace binllm {

/// |W| ~ s a b^T, |a| = |b| = 1, with the least squared error. |W| has no negative number, so power iteration finds its
/// leading singular vectors, none of whose numbers is negative. Returns s, the singular value; 0, with a and b of zeros,
/// for a matrix of zeros. w (rows,cols), a (rows), b (cols).
template <class M>
M nearest_outer_product(View<const M> w, View<M> a, View<M> b) {
  constexpr int most_rounds = 100;
  constexpr M close = sizeof(M) == 4 ? M(1e-6) : M(1e-12);  // that a round changes b by less ends it
  const auto normalise = [](View<M> x) {
    const M length = std::sqrt(x.flat().square().sum());
    if (length > 0) x.flat() /= length;
    return length;
  };
  Tensor<M> before(b.shape);
  b.flat().setConstant(1);
  normalise(b);
  for (int round = 0;; ++round) {
    before.view().flat() = b.flat();
    for (Index r = 0; r < w.rows(); ++r) a.data[r] = (w.row(r).abs() * b.flat()).sum();
    normalise(a);
    b.flat().setZero();
    for (Index r = 0; r < w.rows(); ++r) b.flat() += w.row(r).abs() * a.data[r];
    const M value = normalise(b);
    if (round == most_rounds || std::sqrt((b.flat() - before.view().flat()).square().sum()) <= close) return value;
  }
}

}  // namespace binllm
