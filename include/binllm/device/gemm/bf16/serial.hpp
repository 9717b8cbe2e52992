// SPDX-License-Identifier: MIT
/// Matrix products of bf16 on the CPU, one thread a call, with sums in float:
///   c(m, n) = alpha a(m, k) b(k, n), or c += alpha a b
/// in the blocks of device/gemm/serial.hpp, around the tile of a kernel that is chosen when the program runs. An element
/// of c that is a bf16 is rounded once, whatever the length of its sum; its bits do not depend on which tile, grid or
/// thread computed it.
#pragma once
#include <binllm/device/gemm/bf16/by_conversion.hpp>
#include <binllm/device/lanes.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>

// A packet as a template argument loses attributes that only packets in memory need; here none is stored.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace binllm::cpu {

#if defined(__x86_64__) && !defined(__CUDACC__)
constexpr bool bf16_instructions = true;
#else
constexpr bool bf16_instructions = false;  // nvcc does not take their kernels, other processors have none
#endif

/// The kernel of products of T that has instructions of the set for them, or null. Defined, with all kernels, in
/// device/gemm/bf16/kernels.hpp.
template <class T>
[[nodiscard]] const Bf16Kernel* product_instructions(InstructionSet set);

/// What differs between units of one program, their lanes and whether they have the instructions, is part of the name.
template <int lane_count = Eigen::internal::packet_traits<float>::size, bool instructions = bf16_instructions>
[[nodiscard]] const Bf16Kernel& bf16_kernel([[maybe_unused]] InstructionSet set = instruction_set()) {
  if constexpr (instructions) {
    if (const Bf16Kernel* const kernel = product_instructions<bf16>(set); kernel != nullptr) return *kernel;
  }
  return Bf16ByConversion<lane_count>::kernel;
}

template <int lane_count = Eigen::internal::packet_traits<float>::size, bool instructions = bf16_instructions>
class SerialBf16Gemm {
  static constexpr Index max_rows = 128, max_cols = 384, max_depth_bytes = 1536, tile_sums = 1024;

 public:
  /// Bytes of panels, and of sums that go on in the next block, for every product of at most these extents, with any
  /// kernel. Where c holds floats, sums go on in c.
  template <class C>
  [[nodiscard]] static std::size_t bytes(Index m, Index n, Index k) {
    const Index depth_bytes = std::min<Index>(k * 4, max_depth_bytes) + 128;
    const Index panels = depth_bytes * (std::min(n, max_cols) + 64 + std::min(m, max_rows) + 32) + 64 * max_rows;
    const Index sums = std::is_same_v<C, float> || k * 4 <= max_depth_bytes ? 0 : m * (std::min(n, max_cols) + 64);
    return static_cast<std::size_t>(panels + (tile_sums + sums) * Index(sizeof(float)));
  }

  template <class C>
  static void run(Index m, Index n, Index k, float alpha, Operand<bf16> a, Operand<bf16> b, bool add, C* c,
                  Index c_stride, void* memory) {
    const Bf16Kernel& kernel = bf16_kernel<lane_count, instructions>();
    const Index number = static_cast<Index>(kernel.bytes);
    const Index deepest = even_part(k, max_depth_bytes / number, kernel.unit),
                cols = even_part(n, max_cols, kernel.cols);
    float* const tile = static_cast<float*>(memory);
    float* const sums = tile + tile_sums;
    const bool in_parts = deepest < k && !std::is_same_v<C, float>;  // sums that wait for the next part
    std::byte* const right = reinterpret_cast<std::byte*>(sums + (in_parts ? m * cols : 0));
    std::byte* const panel = right + deepest * cols * number;
    if (kernel.begin != nullptr) kernel.begin();
    for (Index col = 0; col < n; col += cols) {
      const Index width = std::min(cols, n - col);
      for (Index p = 0; p < std::max<Index>(k, 1); p += deepest) {
        const Index deep = std::min(deepest, k - p), depth = kernel.depth(deep);
        kernel.right(b.from(p, col), deep, width, right);
        for (Index row = 0; row < m; row += max_rows) {
          const Index height = std::min(max_rows, m - row);
          Bf16Left left = kernel.left(a.from(row, p), deep, height, panel);
          const std::byte* const first = left.data;
          for (Index j = 0; j < width; j += kernel.cols) {
            for (Index i = 0; i < height; i += kernel.rows) {
              const Index wanted = std::min(kernel.cols, width - j);
              left.data = first + i / kernel.rows * left.group_step;
              kernel.multiply(depth, left, right + j * depth * number, wanted, tile);
              for (Index r = 0; r < std::min(kernel.rows, height - i); ++r) {
                const Index in_c = (row + i + r) * c_stride + col + j;
                float* const part = in_parts ? sums + (row + i + r) * cols + j : nullptr;
                if (!in_parts) {
                  finish(tile + r * kernel.cols, wanted, alpha, add || p > 0, c + in_c);
                } else if (p + deepest < k) {
                  finish(tile + r * kernel.cols, wanted, 1, p > 0, part);
                } else {
                  finish(tile + r * kernel.cols, wanted, 1, true, part);
                  finish(part, wanted, alpha, add, c + in_c);
                }
              }
            }
          }
        }
      }
    }
    if (kernel.end != nullptr) kernel.end();
  }

 private:
  [[nodiscard]] static Index round_up(Index count, Index unit) { return (count + unit - 1) / unit * unit; }
  /// The extent in parts of nearly equal size, each a multiple of `unit` and about `most` at the most.
  [[nodiscard]] static Index even_part(Index extent, Index most, Index unit) {
    const Index parts = std::max<Index>((extent + most - 1) / most, 1);
    return std::max(round_up((extent + parts - 1) / parts, unit), unit);
  }
  /// to = alpha x, or to += alpha x, of `count` numbers; x may be read up to the next whole vector.
  template <class C>
  static void finish(const float* x, Index count, float alpha, bool add, C* to) {
    using Floats = detail::Packets<float, lane_count>;
    using InMemory = std::conditional_t<std::is_same_v<C, bf16>, detail::Bf16Lanes<lane_count>, Floats>;
    namespace simd = Eigen::internal;
    const auto factor = Floats::constant(alpha);
    for (Index j = 0; j < count; j += lane_count) {
      const Index some = count - j;
      auto value = simd::pmul(factor, Floats::load(x + j));
      if (add)
        value = simd::padd(value, some >= lane_count ? InMemory::load(to + j) : InMemory::load_part(to + j, some));
      InMemory::store(to + j, value, some);
    }
  }
};

}  // namespace binllm::cpu

#pragma GCC diagnostic pop
