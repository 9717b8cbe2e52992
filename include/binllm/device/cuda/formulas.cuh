// SPDX-License-Identifier: MIT
/// Formulas over blocks on a GPU: map, and reductions over rows and columns. A formula runs as a scalar function, in
/// master_t of the type that is stored; a thread computes as many neighbours as fill 16 bytes, where everything that is
/// read and written is aligned, else one. All sums are in an order that shape and alignment decide. nvcc only.
#pragma once
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>
#include <binllm/device/cuda/runtime.cuh>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace binllm::cuda {

/// What an operand gives for columns [col, col + n) of a row: in one access where it can name their address.
template <class X, int n, class In>
__device__ Lanes<X, n> load_lanes(const In& in, Index row, Index col) {
  Lanes<X, n> lanes;
  if constexpr (n > 1 && requires { in.address(row, col); }) {
    const auto stored = load<n>(in.address(row, col));
#pragma unroll
    for (int i = 0; i < n; ++i) lanes.lane[i] = static_cast<X>(stored.lane[i]);
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) lanes.lane[i] = in.template load<X>(row, col + i);
  }
  return lanes;
}
/// Whether load_lanes may take n columns at once.
template <class In>
[[nodiscard]] bool takes(const In& in, Index n) {
  if constexpr (requires { in.aligned(n); }) {
    return in.aligned(n);
  } else {
    return true;
  }
}

template <class T, int n>
__device__ void write_lanes(T* to, Lanes<master_t<T>, n> lanes, bool add) {
  if (add) {
    const auto old = widened(load<n>(static_cast<const T*>(to)));
#pragma unroll
    for (int i = 0; i < n; ++i) lanes.lane[i] += old.lane[i];
  }
  store(to, rounded<T>(lanes));
}

/// The results of a formula for the lanes of its arguments.
template <std::size_t count, int n, class X, class F, class... L>
__device__ void evaluate(Lanes<X, n> (&results)[count], const F& f, const L&... lanes) {
#pragma unroll
  for (int i = 0; i < n; ++i) {
    const auto values = f(lanes.lane[i]...);
    if constexpr (requires { values[0]; }) {
#pragma unroll
      for (std::size_t k = 0; k < count; ++k) results[k].lane[i] = values[k];
    } else {
      results[0].lane[i] = static_cast<X>(values);
    }
  }
}

inline constexpr int map_threads = 256;

/// Places are counted in groups of n columns; `Count` is 32 bits wide where that is enough, because it is divided.
template <int n, class Count, class T, std::size_t count, class F, class... In>
__global__ void __launch_bounds__(map_threads)
    map_kernel(std::array<Target<T>, count> outs, bool accumulate, Count places, Count across, F f, In... in) {
  using X = master_t<T>;
  const Count step = static_cast<Count>(gridDim.x) * map_threads;
  for (Count i = static_cast<Count>(blockIdx.x) * map_threads + threadIdx.x; i < places; i += step) {
    const Index row = static_cast<Index>(i / across), col = static_cast<Index>(i % across) * n;
    Lanes<X, n> results[count];
    evaluate(results, f, load_lanes<X, n>(in, row, col)...);
#pragma unroll
    for (std::size_t k = 0; k < count; ++k) {
      const Target<T>& out = outs[k];
      if (out.data != nullptr) write_lanes(out.data + row * out.stride + col, results[k], accumulate && !out.fresh);
    }
  }
}

template <int n, class T, std::size_t count, class F, class... In>
void launch_map(const std::array<Target<T>, count>& outs, bool accumulate, Index rows, Index cols, const F& f,
                const In&... in) {
  const Index across = cols / n, places = rows * across;
  constexpr Index most_blocks = 132 * 64;  // enough for every GPU of today, and threads that loop a few times
  const auto blocks = static_cast<unsigned>(std::min((places + map_threads - 1) / map_threads, most_blocks));
  if (places < Index{1} << 31) {
    launch("map", map_kernel<n, std::uint32_t, T, count, F, In...>, blocks, map_threads, 0, outs, accumulate,
           static_cast<std::uint32_t>(places), static_cast<std::uint32_t>(across), f, in...);
  } else {
    launch("map", map_kernel<n, std::uint64_t, T, count, F, In...>, blocks, map_threads, 0, outs, accumulate,
           static_cast<std::uint64_t>(places), static_cast<std::uint64_t>(across), f, in...);
  }
}

template <Write mode, class T, std::size_t count, class F, class... In>
void map(std::array<Target<T>, count> outs, F f, In... in) {
  constexpr int n = 16 / sizeof(T);
  const auto wanted = [](const Target<T>& out) { return out.data != nullptr; };
  const auto* first = std::find_if(outs.begin(), outs.end(), wanted);
  if (first == outs.end() || first->rows <= 0 || first->cols <= 0) return;
  const Index rows = first->rows, cols = first->cols;
  bool wide = cols % n == 0 && (takes(in, n) && ...);
  for (const Target<T>& out : outs) {
    wide = wide && (out.data == nullptr ||
                    (reinterpret_cast<std::uintptr_t>(out.data) % 16 == 0 && (rows == 1 || out.stride % n == 0)));
  }
  if (wide) return launch_map<n>(outs, mode == Write::accumulate, rows, cols, f, in...);
  launch_map<1>(outs, mode == Write::accumulate, rows, cols, f, in...);
}

/// The reduction over the threads of a row, in the order of a tree; the result is with the first thread.
template <class Reduction, int threads, class X>
__device__ X reduce_threads(X value, X* of_warps) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    value = Reduction::combine(value, __shfl_down_sync(0xffffffffu, value, offset));
  if constexpr (threads > 32) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane == 0) of_warps[warp] = value;
    __syncthreads();
    if (warp == 0) {
      value = lane < threads / 32 ? of_warps[lane] : Reduction::template neutral<X>;
#pragma unroll
      for (int offset = 16; offset > 0; offset /= 2)
        value = Reduction::combine(value, __shfl_down_sync(0xffffffffu, value, offset));
    }
  }
  return value;
}

inline constexpr int reduce_threads_of_block = 256;

/// As many columns as fill 16 bytes of the narrowest operand that lies in memory.
template <class... In>
[[nodiscard]] constexpr int columns_at_once() {
  int n = 1;
  const auto widen = [&]<class Operand>() {
    if constexpr (requires(const Operand& in) { in.address(0, 0); })
      n = std::max(n, static_cast<int>(16 / sizeof(*std::declval<const Operand&>().address(0, 0))));
  };
  (widen.template operator()<In>(), ...);
  return n;
}

/// A row for each `threads` threads of a block: `groups` times n columns, then the others one by one.
template <int threads, int n, class Reduction, class T, class F, class... In>
__global__ void __launch_bounds__(reduce_threads_of_block)
    row_reduce_kernel(T* out, Index rows, Index groups, Index cols, F f, In... in) {
  using X = master_t<T>;
  __shared__ X of_warps[reduce_threads_of_block / 32];
  constexpr int rows_of_block = reduce_threads_of_block / threads;
  const Index row = static_cast<Index>(blockIdx.x) * rows_of_block + threadIdx.x / threads;
  if (row >= rows) return;  // whole warps, or the whole block
  X total = Reduction::template neutral<X>;
  for (Index group = threadIdx.x % threads; group < groups; group += threads) {
    Lanes<X, n> results[1];
    evaluate(results, f, load_lanes<X, n>(in, row, group * n)...);
#pragma unroll
    for (int i = 0; i < n; ++i) total = Reduction::combine(total, results[0].lane[i]);
  }
  for (Index col = groups * n + threadIdx.x % threads; col < cols; col += threads)
    total = Reduction::combine(total, static_cast<X>(f(in.template load<X>(row, col)...)));
  total = reduce_threads<Reduction, threads>(total, of_warps);
  if (threadIdx.x % threads == 0) out[row] = static_cast<T>(total);
}

template <class Reduction, class T, class F, class... In>
void row_reduce(View<T, Cuda> out, Index cols, F f, In... in) {
  constexpr int n = columns_at_once<In...>();
  const Index rows = out.size(), groups = (takes(in, n) && ...) ? cols / n : 0;
  if (cols <= 1024) {
    constexpr int rows_of_block = reduce_threads_of_block / 32;
    launch("row_reduce", row_reduce_kernel<32, n, Reduction, T, F, In...>,
           static_cast<unsigned>((rows + rows_of_block - 1) / rows_of_block), reduce_threads_of_block, 0, out.data,
           rows, groups, cols, f, in...);
  } else {
    launch("row_reduce", row_reduce_kernel<reduce_threads_of_block, n, Reduction, T, F, In...>,
           static_cast<unsigned>(rows), reduce_threads_of_block, 0, out.data, rows, groups, cols, f, in...);
  }
}

/// partial[part, c] = the sum over the rows of a part. A block takes 32 columns, with eight threads for each.
template <class X, class F, class... In>
__global__ void column_parts_kernel(X* partial, Index rows, Index cols, F f, In... in) {
  __shared__ X of_threads[8][32];
  const Index col = static_cast<Index>(blockIdx.x) * 32 + threadIdx.x, parts = gridDim.y;
  const Index first = rows * blockIdx.y / parts, last = rows * (blockIdx.y + 1) / parts;
  X total = 0;
  if (col < cols) {
    for (Index row = first + threadIdx.y; row < last; row += 8)
      total += static_cast<X>(f(in.template load<X>(row, col)...));
  }
  of_threads[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y != 0 || col >= cols) return;
  for (int k = 1; k < 8; ++k) total += of_threads[k][threadIdx.x];
  partial[blockIdx.y * cols + col] = total;
}
template <class T, class F, class... In>
void column_reduce(View<T, Cuda> out, Index rows, F f, In... in) {
  using X = master_t<T>;
  const Index cols = out.size(), room = scratch_elements<X> / std::max<Index>(cols, 1);
  const Index parts = std::clamp<Index>(rows / 64, 1, std::clamp<Index>(room, 1, 256));
  if (room == 0) {
    throw Error(ErrorId::shape_mismatch, "column_reduce", "out", fmt::format("at most {} columns", scratch_elements<X>),
                fmt::format("{}", cols));
  }
  launch("column_reduce", column_parts_kernel<X, F, In...>,
         dim3(static_cast<unsigned>((cols + 31) / 32), static_cast<unsigned>(parts)), dim3(32, 8), 0, scratch<X>(),
         rows, cols, f, in...);
  add_parts("column_reduce", scratch<X>(), parts, cols, out.data);
}

}  // namespace binllm::cuda
