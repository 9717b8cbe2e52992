// SPDX-License-Identifier: MIT
/// The product of a packed matrix with one to eight tokens on a GPU, which reads every bit once. nvcc only.
///   y[n,i] = scale_i s_n sum_j (2 b_ij - 1) q[n,j],      b_ij the bit of a sign,  x[n,j] ~ s_n q[n,j]
///   s_n = max_j |x[n,j]| / top,   q = nearest(x / s_n),  top = 127 * 256^(digits - 1)
///   q = sum_d 256^(digits - 1 - d) q_d,                  each digit q_d one byte
/// One digit is eight bits an activation, as Int8Activations defines them; two hold a bf16 and three a float, up to
/// 2^-15 and 2^-23 of the largest magnitude of the token. All sums are those of whole numbers, exact: the results depend
/// neither on how the work is cut nor on the tokens beside.
///
/// Tensor cores add up bytes, mma.m16n8k32: the left factor are 16 rows of 32 bits, each as a byte of 0 or 2^m, the
/// right one 32 activations of 8 columns, a column for each digit of a token. A sign costs an eighth of an instruction:
/// of a dword of 32 signs (SignTiles) `dword & 0x01010101 << m` gives four bytes, and what they add up to is divided by
/// 2^m once, at the end. The order of columns within a product is free, so thread t of four takes column block t.
///
/// A block of threads works on 32 rows a warp and, where its warps are more, on several parts of the columns. Blocks of
/// a cluster share rows and divide the columns; their sums meet in shared memory (Hopper).
#pragma once
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>
#include <binllm/device/cuda/runtime.cuh>
#include <binllm/packed/packed_matrix.hpp>

#include <cooperative_groups.h>

#include <algorithm>
#include <cstdint>

namespace binllm::cuda {

/// The arguments of a product. Shapes: x (tokens, cols), y (tokens, rows).
template <class T>
struct FewTokens {
  const T* x;
  const std::uint8_t* signs;
  const float* scale;
  T* y;
  int tokens, cols, rows;
};

/// Eight tokens are multiplied at once.
inline constexpr int few_tokens = 8;

namespace detail {

/// Columns are counted in chunks of four blocks of SignTiles: what a warp multiplies with at a time.
inline constexpr int chunk_cols = 128, chunk_units = chunk_cols / 8, loads_in_flight = 4;

/// How a block's warps divide its rows, 32 a warp, and its columns.
template <int row_warps_, int col_warps_>
struct FewTokensCut {
  static constexpr int row_warps = row_warps_, col_warps = col_warps_;
  static constexpr int rows = 32 * row_warps, threads = 32 * row_warps * col_warps;
};

/// Of columns, for one block: `chunks` in all, of which shared memory holds `staged` at a time.
struct FewTokensSlice {
  int chunks, staged;
};

/// c += a b of bytes; a without signs.
__device__ inline void multiply_bytes(int (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/// Signs, which one block reads and no other.
__device__ inline uint4 load_signs(const std::uint8_t* from) {
  uint4 signs;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(signs.x), "=r"(signs.y), "=r"(signs.z), "=r"(signs.w)
               : "l"(from));
  return signs;
}

/// Blocks that share rows. Before Hopper each block is alone.
struct Cluster {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  __device__ static int ranks() { return static_cast<int>(cooperative_groups::this_cluster().num_blocks()); }
  __device__ static int rank() { return static_cast<int>(cooperative_groups::this_cluster().block_rank()); }
  __device__ static void sync() { cooperative_groups::this_cluster().sync(); }
  template <class T>
  __device__ static const T* of_rank(T* shared, int rank) {
    return cooperative_groups::this_cluster().map_shared_rank(shared, rank);
  }
  /// The kernel before may not be done until `wait` returns; what comes next may start from `release` on.
  __device__ static void wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
  __device__ static void release() { asm volatile("griddepcontrol.launch_dependents;"); }
#else
  __device__ static int ranks() { return 1; }
  __device__ static int rank() { return 0; }
  __device__ static void sync() { __syncthreads(); }
  template <class T>
  __device__ static const T* of_rank(T* shared, int) {
    return shared;
  }
  __device__ static void wait() {}
  __device__ static void release() {}
#endif
};

/// Eight activations of a token from column `col` on, zeros after the last column.
template <class T>
[[nodiscard]] __device__ inline Lanes<float, 8> load_activations(const T* row, int col, int cols, bool lanes) {
  if (lanes && col + 8 <= cols) return widened(load<8>(row + col));
  Lanes<float, 8> x;
#pragma unroll
  for (int i = 0; i < 8; ++i) x.lane[i] = col + i < cols ? static_cast<float>(row[col + i]) : 0.0f;
  return x;
}

/// The largest magnitude of each token in columns [first, end), as the bits of a float: a NaN is above all numbers.
template <class T>
__device__ inline void largest_magnitudes(const FewTokens<T>& a, int first, int end, bool lanes, unsigned* largest) {
  const int units = (end - first + 7) / 8, padded = (units + 31) / 32 * 32;
  for (int e = static_cast<int>(threadIdx.x); e < a.tokens * padded; e += static_cast<int>(blockDim.x)) {
    const int n = e / padded, unit = e % padded;  // the same token for all threads of a warp
    unsigned most = 0;
    if (unit < units) {
      const auto x = load_activations(a.x + Index(n) * a.cols, first + 8 * unit, a.cols, lanes);
#pragma unroll
      for (int i = 0; i < 8; ++i) most = max(most, __float_as_uint(x.lane[i]) & 0x7fffffffu);
    }
    most = __reduce_max_sync(all_threads, most);
    if (threadIdx.x % 32 == 0) atomicMax(largest + n, most);
  }
}

/// Writes the digits of chunks [first, end) to `to`, and adds each column's sum to `totals`. A chunk is
///   (half h of a dword of signs, column, block of 32 columns t): 16 bytes, dword m of them for the bits 8b + 4h + m
template <int digits, class T>
__device__ inline void write_digits(const FewTokens<T>& a, int first, int end, bool lanes, const float* inverse,
                                    std::uint16_t* to, int* totals) {
  const int columns = a.tokens * digits, units = (end - first) * chunk_units, padded = (units + 31) / 32 * 32;
  for (int e = static_cast<int>(threadIdx.x); e < a.tokens * padded; e += static_cast<int>(blockDim.x)) {
    const int n = e / padded, unit = e % padded;
    int sum[digits] = {};
    if (unit < units) {
      const auto x = load_activations(a.x + Index(n) * a.cols, first * chunk_cols + 8 * unit, a.cols, lanes);
      int q[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) q[i] = __float2int_rn(x.lane[i] * inverse[n]);
      const int chunk = unit / chunk_units, block = unit / 4 % 4, part = unit % 4;
#pragma unroll
      for (int d = digits - 1; d >= 0; --d) {
        const int column = n * digits + d;
        std::uint16_t* const at = to + (((chunk * 2 + part / 2) * columns + column) * 4 + block) * 8 + part % 2;
        int low[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          low[i] = d == 0 ? q[i] : static_cast<int>(static_cast<std::int8_t>(q[i]));
          q[i] = (q[i] - low[i]) >> 8;
          sum[d] += low[i];
        }
#pragma unroll
        for (int m = 0; m < 4; ++m) at[2 * m] = static_cast<std::uint16_t>((low[m] & 0xff) | (low[4 + m] & 0xff) << 8);
      }
    }
#pragma unroll
    for (int d = 0; d < digits; ++d) {
      const int of_warp = __reduce_add_sync(all_threads, sum[d]);
      if (threadIdx.x % 32 == 0) atomicAdd(totals + n * digits + d, of_warp);
    }
  }
}

template <int digits, int column_tiles, class Cut, class T>
__global__ void __launch_bounds__(Cut::threads)
    few_tokens_kernel(FewTokens<T> a, FewTokensSlice slice, bool lanes) {
  constexpr int columns_most = 8 * column_tiles, pitch = Cut::rows + 1;
  constexpr float top = digits == 1 ? 127.0f : digits == 2 ? 127.0f * 256 : 127.0f * 65536;
  extern __shared__ uint4 few_tokens_memory[];
  __shared__ int sums[columns_most * pitch], totals[columns_most];
  __shared__ unsigned largest[few_tokens];
  __shared__ float inverse[few_tokens], step[few_tokens];

  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, g = lane / 4, t = lane % 4;
  const int row_warp = thread / 32 % Cut::row_warps, col_warp = thread / 32 / Cut::row_warps;
  const int ranks = Cluster::ranks(), rank = Cluster::rank(), columns = a.tokens * digits;
  const int group = static_cast<int>(blockIdx.x) / ranks * Cut::row_warps + row_warp;  // of 32 rows
  const int blocks = (a.cols + 31) / 32, chunks = (blocks + 3) / 4;
  const int first = min(chunks, rank * slice.chunks), end = min(chunks, first + slice.chunks);
  const std::uint8_t* const signs = a.signs + Index(group / 2) * blocks * SignTiles::block_bytes + group % 2 * 128 +
                                    Index(t) * SignTiles::block_bytes + g * 16;
  const bool has_rows = group / 2 < (a.rows + 63) / 64;

  uint4 next[loads_in_flight];
  const auto load_next = [&](int chunk) {
#pragma unroll
    for (int k = 0; k < loads_in_flight; ++k) {
      const int c = chunk + k * Cut::col_warps;
      next[k] = has_rows && c < end && 4 * c + t < blocks ? load_signs(signs + Index(c) * 4 * SignTiles::block_bytes)
                                                           : uint4{};
    }
  };
  load_next(first + col_warp);  // signs are constant, so they need not wait for the kernel before
  for (int i = thread; i < columns * pitch; i += Cut::threads) sums[i] = 0;
  if (thread < columns_most) totals[thread] = 0;
  if (thread < few_tokens) largest[thread] = 0;
  __syncthreads();
  Cluster::release();
  Cluster::wait();

  largest_magnitudes(a, first * chunk_cols, min(a.cols, end * chunk_cols), lanes, largest);
  Cluster::sync();
  if (thread < a.tokens) {
    unsigned bits = 0;
    for (int r = 0; r < ranks; ++r) bits = max(bits, Cluster::of_rank(largest, r)[thread]);
    const float most = __uint_as_float(bits), factor = top / most;
    const bool plain = factor > 0 && factor < INFINITY;  // else zeros: as Int8Activations::load_nothing
    inverse[thread] = plain ? factor : 0.0f;
    step[thread] = plain ? most / top : most < 1 ? 0.0f : NAN;
  }
  __syncthreads();

  int sum[2][column_tiles][4][4] = {};  // pairs of rows, tiles of columns, factors 2^m
  int chunk = first + col_warp;
  for (int begin = first; begin < end; begin += slice.staged) {
    const int stop = min(end, begin + slice.staged);
    if (begin > first) __syncthreads();  // the digits of the stage before have been read
    write_digits<digits>(a, begin, stop, lanes, inverse, reinterpret_cast<std::uint16_t*>(few_tokens_memory), totals);
    __syncthreads();
    for (; chunk < stop; chunk += loads_in_flight * Cut::col_warps) {
      uint4 now[loads_in_flight];
#pragma unroll
      for (int k = 0; k < loads_in_flight; ++k) now[k] = next[k];
      load_next(chunk + loads_in_flight * Cut::col_warps);
#pragma unroll
      for (int k = 0; k < loads_in_flight; ++k) {
        const int c = chunk + k * Cut::col_warps - begin;
        if (begin + c >= stop) break;
        std::uint32_t b[column_tiles][8];
#pragma unroll
        for (int tile = 0; tile < column_tiles; ++tile) {
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            uint4 x{};
            if (8 * tile + g < columns) x = few_tokens_memory[((c * 2 + half) * columns + 8 * tile + g) * 4 + t];
            b[tile][4 * half] = x.x, b[tile][4 * half + 1] = x.y, b[tile][4 * half + 2] = x.z, b[tile][4 * half + 3] = x.w;
          }
        }
        const std::uint32_t low[4] = {now[k].x, now[k].y, now[k].z, now[k].w};
        const std::uint32_t high[4] = {low[0] >> 4, low[1] >> 4, low[2] >> 4, low[3] >> 4};
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          const std::uint32_t mask = 0x01010101u << m;
#pragma unroll
          for (int pair = 0; pair < 2; ++pair) {
            const std::uint32_t bytes[4] = {low[2 * pair] & mask, low[2 * pair + 1] & mask, high[2 * pair] & mask,
                                            high[2 * pair + 1] & mask};
#pragma unroll
            for (int tile = 0; tile < column_tiles; ++tile)
              multiply_bytes(sum[pair][tile][m], bytes, b[tile][m], b[tile][m + 4]);
          }
        }
      }
    }
  }

  // sum_j (2 b - 1) q_d over the warps of the block; thread (g, t) holds rows 4g .. 4g+3 and columns 2t, 2t+1 of a tile
#pragma unroll
  for (int tile = 0; tile < column_tiles; ++tile) {
#pragma unroll
    for (int pair = 0; pair < 2; ++pair) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const int column = 8 * tile + 2 * t + r % 2, row = 32 * row_warp + 4 * g + 2 * pair + r / 2;
        if (column >= columns) continue;
        int whole = 0;
#pragma unroll
        for (int m = 0; m < 4; ++m) whole += sum[pair][tile][m][r] >> m;
        atomicAdd(sums + column * pitch + row, 2 * whole - (col_warp == 0 ? totals[column] : 0));
      }
    }
  }
  Cluster::sync();
  const int share = Cut::rows / ranks, first_row = (group - row_warp) * 32;
  for (int i = thread; i < share * a.tokens; i += Cut::threads) {
    const int row = rank * share + i % share, n = i / share;
    long long whole = 0;
#pragma unroll
    for (int d = 0; d < digits; ++d) {
      int digit = 0;
      for (int r = 0; r < ranks; ++r) digit += Cluster::of_rank(sums, r)[(n * digits + d) * pitch + row];
      whole = whole * 256 + digit;
    }
    if (first_row + row >= a.rows) continue;
    const float y = static_cast<float>(whole) * (a.scale[first_row + row] * step[n]);
    a.y[Index(n) * a.rows + first_row + row] = T(y);
  }
  if (ranks > 1) Cluster::sync();  // a block stays until its sums have been read
}

/// Whether the kernels were translated for GPUs with clusters.
template <class = void>
__global__ void cluster_question_kernel() {}
[[nodiscard]] inline bool has_clusters() {
  static const bool answer = [] {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, cluster_question_kernel<>), "packed_linear");
    return attributes.ptxVersion >= 90;
  }();
  return answer;
}

/// `ranks` blocks share rows; `overlapped` lets the kernel read signs before the one before it has ended.
template <int digits, int column_tiles, class Cut, class T>
void launch_few_tokens(const FewTokens<T>& a, int ranks, bool overlapped) {
  const int chunks = (a.cols + chunk_cols - 1) / chunk_cols;
  constexpr int stage = loads_in_flight * Cut::col_warps, stage_bytes = 64 * 1024;
  const int columns = a.tokens * digits, of_block = (chunks + ranks - 1) / ranks;
  const int staged = std::max(1, std::min((of_block + stage - 1) / stage, stage_bytes / (columns * chunk_cols * stage)));
  const std::size_t bytes = static_cast<std::size_t>(std::min(of_block, staged * stage)) * chunk_cols * columns;
  const auto kernel = few_tokens_kernel<digits, column_tiles, Cut, T>;
  static const bool once = [&] {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 2 * stage_bytes), "packed_linear");
    return true;
  }();
  static_cast<void>(once);
  cudaLaunchAttribute attributes[2];
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim.x = static_cast<unsigned>(ranks);
  attributes[0].val.clusterDim.y = attributes[0].val.clusterDim.z = 1;
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>((a.rows + Cut::rows - 1) / Cut::rows * ranks));
  config.blockDim = dim3(Cut::threads);
  config.dynamicSmemBytes = bytes;
  config.stream = stream();
  config.attrs = ranks > 1 ? attributes : attributes + 1;
  config.numAttrs = (ranks > 1 ? 1 : 0) + (overlapped ? 1 : 0);
  check(cudaLaunchKernelEx(&config, kernel, a, FewTokensSlice{of_block, staged * stage},
                           lies_in_lanes<8>(a.x, a.cols)),
        "packed_linear");
}

}  // namespace detail

/// The product, cut so that all processors of a large GPU read at once.
template <int digits, class T>
void multiply_few_tokens(const FewTokens<T>& a) {
  using Cut = detail::FewTokensCut<4, 2>;
  constexpr int processors = 132, ranks_most = 8;
  const bool clusters = detail::has_clusters();
  const int row_blocks = (a.rows + Cut::rows - 1) / Cut::rows, chunks = (a.cols + detail::chunk_cols - 1) / detail::chunk_cols;
  int ranks = 1;
  while (clusters && ranks < ranks_most && row_blocks * ranks < processors && 2 * Cut::col_warps * ranks <= chunks) ranks *= 2;
  const int column_tiles = (a.tokens * digits + 7) / 8;
  if (column_tiles == 1) return detail::launch_few_tokens<digits, 1, Cut>(a, ranks, clusters);
  if constexpr (digits > 1) {
    if (column_tiles == 2) return detail::launch_few_tokens<digits, 2, Cut>(a, ranks, clusters);
  }
  if constexpr (digits > 2) detail::launch_few_tokens<digits, 3, Cut>(a, ranks, clusters);
}

}  // namespace binllm::cuda
