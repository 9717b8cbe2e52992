// SPDX-License-Identifier: MIT
/// The row part of cross-entropy on a GPU: a block reads a row of logits once, keeps it in shared memory while it takes
/// maximum and sum together, and writes the gradient over it. What shared memory cannot hold is read again, and comes
/// from the second cache. Definition: GenericKernel<CrossEntropyRows> in ops/cross_entropy.hpp.
///   s = sum_v 2^{(z_v - m) / ln 2},   loss = ln s + m - z_target
///   dz_v = weight (2^{(z_v - m) / ln 2} / s - [v = target])
#pragma once
#include <binllm/core/view.hpp>
#include <binllm/device/cuda.hpp>
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace binllm::cuda {

namespace detail {

/// Maximum m and sum of 2^{(z - m) / ln 2} of the numbers so far. Where all of them are -inf, the sum is 0.
template <class M>
struct RunningSum {
  M most = -std::numeric_limits<M>::infinity(), sum = M(0);

  /// What is subtracted: -inf from -inf would be NaN.
  [[nodiscard]] static __device__ M reference(M most) {
    return most == -std::numeric_limits<M>::infinity() ? M(0) : most;
  }
  [[nodiscard]] static __device__ M power(M z, M reference) {
    return std::exp2((z - reference) * std::numbers::log2e_v<M>);
  }
  template <int n, int many>
  __device__ void add(const Lanes<M, n> (&z)[many]) {
    M higher = most;
    for (int k = 0; k < many; ++k) {
      for (int i = 0; i < n; ++i) higher = std::fmax(higher, z[k].lane[i]);
    }
    const M from = reference(higher);
    sum *= power(most, from);
    for (int k = 0; k < many; ++k) {
      for (int i = 0; i < n; ++i) sum += power(z[k].lane[i], from);
    }
    most = higher;
  }
  /// Over the block, in a fixed order; all threads get the same bits.
  __device__ void over_block() {
    __shared__ M of_warp[2][32];
    over_warp();
    __syncthreads();  // the sums of the row before have been read
    if (threadIdx.x % 32 == 0) of_warp[0][threadIdx.x / 32] = most, of_warp[1][threadIdx.x / 32] = sum;
    __syncthreads();
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    most = lane < warps ? of_warp[0][lane] : -std::numeric_limits<M>::infinity();
    sum = lane < warps ? of_warp[1][lane] : M(0);
    over_warp();
  }

 private:
  __device__ void over_warp() {
    for (int distance = 16; distance > 0; distance /= 2) {
      const M other_most = __shfl_xor_sync(all_threads, most, distance);
      const M other_sum = __shfl_xor_sync(all_threads, sum, distance);
      const M higher = std::fmax(most, other_most), from = reference(higher);
      sum = sum * power(most, from) + other_sum * power(other_most, from);
      most = higher;
    }
    sum = __shfl_sync(all_threads, sum, 0);  // a fused product would leave lanes with sums of other last bits
  }
};

extern __shared__ uint4 dynamic_shared[];

/// A row is `parts` accesses of n logits; the first `kept` of them lie in shared memory between the passes.
template <class T, int n>
__global__ void __launch_bounds__(1024)
    cross_entropy_kernel(T* logits, const std::int32_t* targets, master_t<T> weight, bool gradient, master_t<T>* losses,
                         Index rows, int parts, int kept) {
  using M = master_t<T>;
  constexpr int together = 4;  // accesses in flight
  T* const memory = reinterpret_cast<T*>(dynamic_shared);
  for (Index row = blockIdx.x; row < rows; row += gridDim.x) {
    T* const z = logits + row * parts * n;
    const std::int32_t target = targets[row];
    const M at_target = static_cast<M>(z[target]);
    RunningSum<M> running;
    for (int first = threadIdx.x; first < parts; first += together * blockDim.x) {
      Lanes<T, n> read[together];
#pragma unroll
      for (int k = 0; k < together; ++k) {
        const int part = first + k * blockDim.x;
        if (part < parts) read[k] = load<n>(z + Index(part) * n);
      }
      Lanes<M, n> wide[together];
#pragma unroll
      for (int k = 0; k < together; ++k) {
        const int part = first + k * blockDim.x;
        if (part < kept) reinterpret_cast<Lanes<T, n>*>(memory)[part] = read[k];
        if (part < parts) {
          wide[k] = widened(read[k]);
        } else {
          for (int i = 0; i < n; ++i) wide[k].lane[i] = -std::numeric_limits<M>::infinity();
        }
      }
      running.add(wide);
    }
    running.over_block();  // all threads have read at_target and the row
    if (threadIdx.x == 0) losses[row] = std::log(running.sum) + (running.most - at_target);
    if (!gradient) continue;
    const M from = RunningSum<M>::reference(running.most), scale = weight / running.sum;
    const auto write = [&](int part, const Lanes<T, n>& row_part) {
      Lanes<M, n> dz = widened(row_part);
      for (int i = 0; i < n; ++i) dz.lane[i] = scale * RunningSum<M>::power(dz.lane[i], from);
      store(z + Index(part) * n, rounded<T>(dz));
      if (part == target / n)
        store(z + target, rounded<T>(Lanes<M, 1>{{scale * RunningSum<M>::power(at_target, from) - weight}}));
    };
#pragma unroll 2
    for (int part = threadIdx.x; part < kept; part += blockDim.x)  // each thread finds what it stored itself
      write(part, reinterpret_cast<const Lanes<T, n>*>(memory)[part]);
    for (int part = kept + threadIdx.x; part < parts; part += blockDim.x) write(part, load<n>(z + Index(part) * n));
  }
}

}  // namespace detail

/// losses[n] of rows of logits; with `gradient`, logits become weight * d loss / d logits. Targets lie in [0, cols).
template <class T>
void cross_entropy(View<T, Cuda> logits, View<const std::int32_t, Cuda> targets, master_t<T> weight, bool gradient,
                   View<master_t<T>, Cuda> losses) {
  if (logits.size() == 0) return;
  constexpr std::size_t half_shared = 110 * 1024;
  const Index most_shared = std::min(200, state().shared_bytes / 1024 - 2) * 1024;  // 2 KiB for the sums of warps
  constexpr Index most_blocks = 160 * 8;
  const auto run = [&](auto lanes) {
    constexpr int n = lanes;
    const Index parts = logits.cols() / n, bytes = n * static_cast<Index>(sizeof(T));
    const Index kept = gradient ? std::min(parts, most_shared / bytes) : 0;
    const std::size_t shared = static_cast<std::size_t>((kept * bytes + 15) / 16 * 16);
    const Index most_threads = shared > half_shared ? 1024 : 512;  // one row, or two and more, in a processor
    const Index threads = std::clamp<Index>((parts + 127) / 128 * 32, 32, most_threads);
    launch("cross_entropy", detail::cross_entropy_kernel<T, n>,
           dim3(static_cast<unsigned>(std::min(logits.rows(), most_blocks))), dim3(static_cast<unsigned>(threads)),
           shared, logits.data, targets.data, weight, gradient, losses.data, logits.rows(), static_cast<int>(parts),
           static_cast<int>(kept));
  };
  constexpr int widest = 16 / static_cast<int>(sizeof(T));
  lies_in_lanes<widest>(logits.data, logits.cols()) ? run(std::integral_constant<int, widest>{})
                                                    : run(std::integral_constant<int, 1>{});
}

}  // namespace binllm::cuda

namespace binllm::cuda {

template <>
struct Implementation<CrossEntropyRows> {
  static Index workspace(Index) { return 0; }
  template <class T>
  static void forward(View<T, Cuda> logits, View<const std::int32_t, Cuda> targets, master_t<T> weight, bool gradient,
                      View<master_t<T>, Cuda>, View<master_t<T>, Cuda> losses) {
    cross_entropy<T>(logits, targets, weight, gradient, losses);
  }
};

}  // namespace binllm::cuda
