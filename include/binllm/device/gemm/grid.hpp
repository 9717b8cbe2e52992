// SPDX-License-Identifier: MIT
/// How a matrix product is shared: among the threads of the pool, or with another library.
#pragma once
#include <binllm/device/gemm/panels.hpp>

#include <limits>

namespace binllm::cpu {

/// Cuts of a product fall on edges of register tiles, which do so many multiplications in a cycle.
struct TileRate {
  Index rows, cols;
  double multiplications;
};

/// How a product is cut into tiles for threads: in the shape that should end first. The cut may follow the number of
/// threads, since no tile changes a bit.
struct ProductGrid {
  Index height, width, down = 1, across = 1;

  ProductGrid(Index m, Index n, Index k, bool left_transposed, bool right_transposed, int threads, const TileRate& rate)
      : height(m), width(n) {
    constexpr Index small = Index(1) << 18;
    if (threads == 1 || m * n * k < small) return;
    double least = std::numeric_limits<double>::infinity();
    for (Index d = 1; d <= threads; ++d) {
      const Index h = part(m, d, rate.rows), w = part(n, (threads + d - 1) / d, rate.cols);
      const Index tiles = parts(m, h) * parts(n, w), rounds = (tiles + threads - 1) / threads;
      // Cycles of a tile for each step along k: multiplications, and copies of the two factors.
      const double tile = static_cast<double>(h * w) / rate.multiplications +
                          static_cast<double>(w) * (right_transposed ? 1.2 : 0.6) +
                          static_cast<double>(h) * (left_transposed ? 0.8 : 0.5);
      if (static_cast<double>(rounds) * tile >= least) continue;
      least = static_cast<double>(rounds) * tile;
      height = h, width = w;
    }
    down = parts(m, height);
    across = parts(n, width);
  }
  [[nodiscard]] Index tiles() const { return down * across; }

 private:
  [[nodiscard]] static Index parts(Index extent, Index size) { return (extent + size - 1) / size; }
  [[nodiscard]] static Index part(Index extent, Index count, Index unit) {
    return parts(parts(extent, count), unit) * unit;
  }
};

/// A whole product by somebody else's library, where one has been chosen (<binllm/device/blas.hpp>): c = a b, or += .
template <class T>
using ForeignProduct = void (*)(Index m, Index n, Index k, Operand<T> a, Operand<T> b, bool add, T* c);
template <class T>
inline ForeignProduct<T> foreign_product = nullptr;
/// Multiplications below which a foreign product is not worth its call.
inline constexpr Index foreign_product_from = 1'000'000;

}  // namespace binllm::cpu
