// SPDX-License-Identifier: MIT
/// What a kernel for products of bf16 is: a tile of sums, which are floats, and the panels that it reads.
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/device/gemm/panels.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <cstddef>

namespace binllm::cpu {

/// Rows of the left factor in groups as high as the tile, as a kernel reads them. Distances are in bytes.
struct Bf16Left {
  const std::byte* data;
  Index group_step, row_step, col_step;
};

/// Panels are `deep` numbers deep, rounded up to a multiple of `unit` with zeros.
struct Bf16Kernel {
  InstructionSet set;
  Index rows, cols;  ///< of the tile: at most 1024 sums
  Index unit;
  std::size_t bytes;       ///< of a number in panels
  double multiplications;  ///< in a cycle
  void (*begin)();         ///< before and after a thread multiplies; may be null
  void (*end)();
  /// Rows of a where they lie, if that serves, else copied to the panel.
  Bf16Left (*left)(Operand<bf16> a, Index deep, Index count, std::byte* panel);
  /// Columns of b in slivers as wide as the tile; the sliver that begins at column j lies at j * depth numbers.
  void (*right)(Operand<bf16> b, Index deep, Index count, std::byte* panel);
  /// The sums of a group and a sliver, of which `count` columns are wanted.
  void (*multiply)(Index depth, const Bf16Left& left, const std::byte* right, Index count, float* tile);

  [[nodiscard]] Index depth(Index deep) const { return (deep + unit - 1) / unit * unit; }
  /// Distance of groups in a panel: their starts should not share a cache set.
  [[nodiscard]] Index group_step(Index depth) const { return rows * depth * static_cast<Index>(bytes) + 64; }
};

}  // namespace binllm::cpu
