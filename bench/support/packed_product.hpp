// SPDX-License-Identifier: MIT
/// Packed matrices and activations to time products with: one matrix that stays in the caches, or so many that each
/// comes from memory.
#pragma once
#include <binllm/packed/kernels.hpp>
#include <binllm/packed/packed_linear.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "gemm_shares.hpp"
#include "instruction_rates.hpp"

namespace binllm::bench {

enum class Resident { cache, dram };

template <class Activations>
class PackedProduct {
 public:
  PackedProduct(Index rows, Index cols, Index tokens, Resident resident) : x_({tokens, cols}), y_({tokens, rows}) {
    const Random random(1, Purpose::test);  // activations of language models are closer to normal than to uniform
    for (Index i = 0; i < x_.size(); ++i)
      x_.view().data[i] = static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
    const std::size_t bytes = static_cast<std::size_t>(SignTiles::tiles(rows) * SignTiles::blocks(cols)) *
                              static_cast<std::size_t>(SignTiles::block_bytes);
    const std::size_t count = resident == Resident::cache ? 1 : std::max<std::size_t>(2, far_bytes() / bytes);
    for (std::size_t i = 0; i < count; ++i) fill(matrices_.emplace_back(rows, cols), i);
    memory_ = Tensor<std::uint8_t>(Shape{K::template workspace<float>(tokens, cols)});
  }

  [[nodiscard]] double weights() const {
    return static_cast<double>(matrices_[0].rows()) * static_cast<double>(matrices_[0].cols);
  }
  [[nodiscard]] std::size_t packed_bytes() const { return static_cast<std::size_t>(matrices_[0].tiles.size()); }
  [[nodiscard]] View<const float> activations() const { return x_.view(); }

  /// The product with the next matrix.
  void multiply() {
    next_ = (next_ + 1) % matrices_.size();
    K::template forward<float>(read(x_.view()), matrices_[next_], memory_.view(), y_.view());
  }
  /// The same bytes, read by as many threads and nothing else done.
  void read_signs() {
    next_ = (next_ + 1) % matrices_.size();
    const std::uint8_t* const signs = matrices_[next_].tiles.view().data;
    const Index threads = thread_pool().size();
    const std::size_t share = (packed_bytes() / static_cast<std::size_t>(threads) + 255) / 256 * 256;
    parallel_for(threads, [&](Index thread) {
      const std::size_t first = std::min(packed_bytes(), static_cast<std::size_t>(thread) * share);
      sinks_[static_cast<std::size_t>(8 * thread)] = read_once(signs + first, std::min(share, packed_bytes() - first));
    });
  }

 private:
  using K = Kernel<PackedLinear<Activations>, Cpu>;

  /// More than the last cache holds, though never less than half a gigabyte.
  static std::size_t far_bytes() {
    const long cache = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
    return std::max<std::size_t>(std::size_t{1} << 29, 2 * static_cast<std::size_t>(std::max(cache, 0L)));
  }
  static void fill(PackedMatrix<float>& matrix, std::size_t seed) {
    const auto signs = matrix.tiles.view();
    const Random random(seed + 1, Purpose::test);
    for (Index i = 0; i + 4 <= signs.size(); i += 4) {
      SignTiles::store(signs.data + i, static_cast<std::uint32_t>(random.bits(static_cast<std::uint64_t>(i))));
    }
    matrix.scale.view().flat().setConstant(0.5f);
  }

  std::vector<PackedMatrix<float>> matrices_;
  Tensor<float> x_, y_;
  Tensor<std::uint8_t> memory_;
  std::size_t next_ = 0;
  std::vector<std::uint64_t> sinks_ = std::vector<std::uint64_t>(8 * 1024);  ///< a line for each thread
};

}  // namespace binllm::bench
