// SPDX-License-Identifier: MIT
/// Planes of a block whose rows are fitted by themselves, and the way from block to block.
#pragma once
#include <binllm/methods/post_training/sign_groups.hpp>

#include <algorithm>

namespace binllm {

/// The planes of the weights `w` of a block: `fit(part)` finds those of the weights of one row and group, as
/// ResidualSigns does; order 2 in salient columns.
template <class Fit>
[[nodiscard]] PlanesBlock planes_by_row(const BlockRows& w, const BlockGroups& groups, const Fit& fit) {
  const Index cols = w.cols();
  PlanesBlock planes(w.rows(), cols);
  planes.group = groups;
  parallel_for(w.rows(), static_cast<std::size_t>(4 * cols) * sizeof(double), [&](Index i, std::byte* memory) {
    double* const x = reinterpret_cast<double*>(memory);
    Index* const columns = reinterpret_cast<Index*>(x + 3 * cols);
    for (Index g = 0; g < PlanesBlock::most_groups; ++g) {
      Index n = 0;
      for (Index j = 0; j < cols; ++j) {
        if (groups(i, j) != g) continue;
        x[n] = w(i, j);
        columns[n++] = j;
      }
      if (n == 0) continue;
      const RowPart part{
          {x, n}, g < 2 ? 1 : 2, {x + cols, n}, {x + 2 * cols, n}, {columns, static_cast<std::size_t>(n)}};
      const SignFit found = fit(part);
      planes.mean(i, g) = found.mean;
      planes.scale(i, g) = found.scale;
      planes.residual_scale(i, g) = found.residual_scale;
      for (Index k = 0; k < n; ++k) {
        planes.sign(i, columns[k]) = part.s[k];
        if (g >= 2) planes.residual_sign(i, columns[k]) = part.t[k];
      }
    }
  });
  return planes;
}

/// Goes over W (out, in) in blocks of columns. `quantise(first, w)` gives what stands for the columns w that begin at
/// `first`, and the later columns make up for what is lost (GPTQ, arXiv 2210.17323, with a block in place of a column):
///
///     E = (W_block - Q) diag(U_block)^-1,     W_later -= E U_block,later,     H^-1 = U^T U
///
/// W becomes Q. Shape: upper (in, in).
template <class Quantise>
void quantise_blocks(BlockRows& w, View<const double> upper, Index block, const Quantise& quantise) {
  const Index rows = w.rows(), cols = w.cols(), strip = 64;
  for (Index first = 0; first < cols; first += block) {
    const Index width = std::min(block, cols - first), last = first + width;
    const BlockRows q = quantise(first, BlockRows(w.middleCols(first, width)));
    BlockRows error = w.middleCols(first, width) - q;
    for (Index j = 0; j < width; ++j) error.col(j) /= upper.data[(first + j) * (cols + 1)];
    w.middleCols(first, width) = q;
    if (last == cols) return;
    const Index strips = (rows + strip - 1) / strip;
    parallel_for(strips, cpu::gemm_bytes<double>(strip, cols - last, width), [&](Index s, std::byte* panels) {
      cpu::gemm_serial<double>(
          std::min(strip, rows - s * strip), cols - last, width, -1.0, {error.data() + s * strip * width, width, false},
          {upper.data + first * cols + last, cols, false}, true, w.data() + s * strip * cols + last, cols, panels);
    });
  }
}

}  // namespace binllm
