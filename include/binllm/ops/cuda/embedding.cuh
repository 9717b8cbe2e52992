// SPDX-License-Identifier: MIT
/// Rows of a table on a GPU. The gradient sorts token positions by id (stably, so that equal ids stay in token order);
/// then one warp for each run of equal ids and each stretch of columns adds up its rows in that order: the sums have
/// the bits of a loop over tokens. Definition: GenericKernel<Embedding> in ops/embedding.hpp.
#pragma once
#include <binllm/core/view.hpp>
#include <binllm/device/cuda.hpp>
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>

#include <cub/device/device_radix_sort.cuh>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace binllm::cuda {

namespace detail {

template <class T, int n>
__global__ void __launch_bounds__(1024)
    embedding_kernel(const std::int32_t* ids, const master_t<T>* table, T* y, Index rows, int parts) {
  for (Index row = first_row(); row < rows; row += row_step()) {
    const master_t<T>* const from = table + Index(ids[row]) * parts * n;
    T* const to = y + row * parts * n;
#pragma unroll 4
    for (int part = threadIdx.x; part < parts; part += blockDim.x)
      store(to + Index(part) * n, rounded<T>(load<n>(from + Index(part) * n)));
  }
}

__global__ static void count_up_kernel(std::int32_t* position, std::int32_t tokens) {
  const Index i = Index(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < tokens) position[i] = static_cast<std::int32_t>(i);
}

/// Warp (blockIdx.x, threadIdx.y) looks at one sorted place; it works where a run of equal ids begins there.
/// blockIdx.y: the stretch of 32 n columns.
template <class T, int n>
__global__ void __launch_bounds__(128)
    embedding_gradient_kernel(const std::int32_t* ids, const std::int32_t* position, const T* dy, master_t<T>* dtable,
                              int tokens, Index cols) {
  using M = master_t<T>;
  constexpr int together = 16;  // rows in flight
  const int begin = blockIdx.x * blockDim.y + threadIdx.y;
  if (begin >= tokens) return;
  const std::int32_t id = ids[begin];
  if (begin > 0 && ids[begin - 1] == id) return;
  const Index col = (Index(blockIdx.y) * 32 + threadIdx.x) * n;
  const bool mine = col < cols;
  M* const out = dtable + Index(id) * cols + col;
  Lanes<M, n> sum;
  if (mine) sum = load<n>(out);
  for (int first = begin;; first += 32) {
    const int place = first + static_cast<int>(threadIdx.x);
    const bool equal = place < tokens && ids[place] == id;
    const std::int32_t row_of_lane = equal ? position[place] : 0;
    const int rows = __popc(__ballot_sync(all_threads, equal));  // sorted: the equal ones come first
    for (int part = 0; part < rows; part += together) {
      Lanes<T, n> row[together];
#pragma unroll
      for (int k = 0; k < together; ++k) {
        const Index from = __shfl_sync(all_threads, row_of_lane, part + k);
        if (mine && part + k < rows) row[k] = load<n>(dy + from * cols + col);
      }
#pragma unroll
      for (int k = 0; k < together; ++k) {
        if (part + k >= rows) break;
        const Lanes<M, n> wide = widened(row[k]);
        for (int i = 0; i < n; ++i) sum.lane[i] += wide.lane[i];
      }
    }
    if (rows < 32) break;
  }
  if (mine) store(out, sum);
}

/// Working memory of the gradient: sorted ids, positions before and after, and what the sort wants.
struct EmbeddingMemory {
  static constexpr std::size_t alignment = 256;
  std::size_t numbers, sort;  // bytes
  explicit EmbeddingMemory(Index tokens)
      : numbers((static_cast<std::size_t>(tokens) * sizeof(std::int32_t) + alignment - 1) / alignment * alignment),
        sort(0) {
    const std::uint32_t* keys = nullptr;
    const std::int32_t* values = nullptr;
    check(cub::DeviceRadixSort::SortPairs(nullptr, sort, keys, static_cast<std::uint32_t*>(nullptr), values,
                                          static_cast<std::int32_t*>(nullptr), static_cast<int>(tokens)),
          "embedding_gradient");
  }
};

}  // namespace detail

/// y[n,:] = table[id_n,:], rounded to T.
template <class T>
void embedding(View<const std::int32_t, Cuda> ids, View<const master_t<T>, Cuda> table, View<T, Cuda> y) {
  if (y.size() == 0) return;
  const Index cols = table.cols();
  const auto run = [&](auto lanes) {
    const int parts = static_cast<int>(cols / lanes);
    const auto [grid, block] = row_grid(ids.size(), parts, 4, 1024);
    launch("embedding", detail::embedding_kernel<T, lanes>, grid, block, 0, ids.data, table.data, y.data, ids.size(),
           parts);
  };
  const bool wide = lies_in_lanes<4>(table.data, cols) && lies_in_lanes<4>(y.data, cols);
  wide ? run(std::integral_constant<int, 4>{}) : run(std::integral_constant<int, 1>{});
}

/// Bytes of working memory for the gradient of so many tokens.
[[nodiscard]] inline std::size_t embedding_gradient_workspace(Index tokens) {
  if (tokens == 0) return 0;
  const detail::EmbeddingMemory memory(tokens);
  return 3 * memory.numbers + memory.sort;
}

/// dtable[id_n,:] += dy[n,:], tokens in order. `memory`: see above, aligned to 16 bytes. Ids lie in the table.
template <class T>
void embedding_gradient(View<const std::int32_t, Cuda> ids, View<const T, Cuda> dy, std::byte* memory,
                        View<master_t<T>, Cuda> dtable) {
  if (dy.size() == 0) return;
  const int tokens = static_cast<int>(ids.size());
  const Index cols = dtable.cols();
  detail::EmbeddingMemory parts(tokens);
  auto* const sorted = reinterpret_cast<std::uint32_t*>(memory);
  auto* const position = reinterpret_cast<std::int32_t*>(memory + parts.numbers);
  auto* const order = reinterpret_cast<std::int32_t*>(memory + 2 * parts.numbers);
  launch("embedding_gradient", detail::count_up_kernel, dim3(static_cast<unsigned>((tokens + 255) / 256)), dim3(256), 0,
         position, tokens);
  const int bits = std::max(static_cast<int>(std::bit_width(static_cast<std::uint32_t>(dtable.rows() - 1))), 1);
  check(cub::DeviceRadixSort::SortPairs(memory + 3 * parts.numbers, parts.sort,
                                        reinterpret_cast<const std::uint32_t*>(ids.data), sorted, position, order,
                                        tokens, 0, bits, stream()),
        "embedding_gradient");
  const auto run = [&](auto lanes) {
    constexpr int n = lanes, warps = 4;
    const dim3 grid(static_cast<unsigned>((tokens + warps - 1) / warps),
                    static_cast<unsigned>((cols + 32 * n - 1) / (32 * n)));
    launch("embedding_gradient", detail::embedding_gradient_kernel<T, n>, grid, dim3(32, warps), 0,
           reinterpret_cast<const std::int32_t*>(sorted), order, dy.data, dtable.data, tokens, cols);
  };
  const bool wide = lies_in_lanes<4>(dy.data, cols) && lies_in_lanes<4>(dtable.data, cols);
  wide ? run(std::integral_constant<int, 4>{}) : run(std::integral_constant<int, 1>{});
}

}  // namespace binllm::cuda

namespace binllm::cuda {

template <>
struct Implementation<Embedding> {
  static Index workspace(Index tokens) { return static_cast<Index>(embedding_gradient_workspace(tokens)); }
  template <class T>
  static void forward(View<const std::int32_t, Cuda> ids, View<const master_t<T>, Cuda> table, View<T, Cuda> y) {
    embedding<T>(ids, table, y);
  }
  template <class T>
  static void backward(View<const std::int32_t, Cuda> ids, View<const T, Cuda> dy, View<std::byte, Cuda> memory,
                       View<master_t<T>, Cuda> dtable) {
    embedding_gradient<T>(ids, dy, memory.data, dtable);
  }
};

}  // namespace binllm::cuda
