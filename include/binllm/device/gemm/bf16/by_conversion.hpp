// SPDX-License-Identifier: MIT
/// Products of bf16 where the processor has no instruction for them: panels of floats, and the register tile of floats.
#pragma once
#include <binllm/device/gemm/bf16/kernel.hpp>
#include <binllm/device/gemm/register_tile.hpp>

#include <algorithm>

namespace binllm::cpu {

template <int lane_count = Eigen::internal::packet_traits<float>::size>
struct Bf16ByConversion {
  using Tile = RegisterTile<float, lane_count>;

  static Bf16Left left(Operand<bf16> a, Index deep, Index count, std::byte* panel) {
    const Index group_step = kernel.group_step(deep), number = sizeof(float);
    for (Index i = 0; i < count; i += Tile::rows) {
      float* const group = reinterpret_cast<float*>(panel + i / Tile::rows * group_step);
      const Index rows = std::min(Tile::rows, count - i);
      std::fill_n(group, Tile::rows * deep, 0.0f);
      if (a.transposed) {
        for (Index p = 0; p < deep; ++p) std::copy_n(a.from(i, p).data, rows, group + p * Tile::rows);
      } else {
        for (Index r = 0; r < rows; ++r) std::copy_n(a.from(i + r, 0).data, deep, group + r * deep);
      }
    }
    return {panel, group_step, (a.transposed ? 1 : deep) * number, (a.transposed ? Tile::rows : 1) * number};
  }
  static void right(Operand<bf16> b, Index deep, Index count, std::byte* panel) {
    float* const out = reinterpret_cast<float*>(panel);
    for (Index j = 0; j < count; j += Tile::width) {
      float* const sliver = out + j * deep;
      const Index cols = std::min(Tile::width, count - j), width = used(cols) * lane_count;
      if (cols < width) std::fill_n(sliver, width * deep, 0.0f);
      for (Index p = 0; p < deep && !b.transposed; ++p) std::copy_n(b.from(p, j).data, cols, sliver + p * width);
      for (Index i = 0; i < cols && b.transposed; ++i) {
        const bf16* const from = b.from(0, j + i).data;
        for (Index p = 0; p < deep; ++p) sliver[p * width + i] = from[p];
      }
    }
  }
  static void multiply(Index depth, const Bf16Left& left, const std::byte* right, Index count, float* tile) {
    const auto run = used(count) == 3   ? &Tile::template multiply<3>
                     : used(count) == 2 ? &Tile::template multiply<2>
                                        : &Tile::template multiply<1>;
    constexpr Index number = sizeof(float);
    run(depth, reinterpret_cast<const float*>(left.data), left.row_step / number, left.col_step / number,
        reinterpret_cast<const float*>(right), 1.0f, false, tile, Tile::width);
  }

 private:
  /// Vectors that hold so many columns.
  [[nodiscard]] static Index used(Index cols) { return (cols + lane_count - 1) / lane_count; }

 public:
  static constexpr Bf16Kernel kernel{
      InstructionSet::plain, Tile::rows, Tile::width, 1, sizeof(float), 28, nullptr, nullptr, left, right, multiply};
};

}  // namespace binllm::cpu
