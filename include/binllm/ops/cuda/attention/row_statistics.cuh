// SPDX-License-Identifier: MIT
/// What backward attention needs of every query row beside the tensors, in its working memory of 2 numbers a padded
/// row:
///   statistics[(b, h)] = { lse_i * log2(e), i < padded } { delta_i, i < padded }
///   delta_i = dy_i . y_i = sum_l P[i,l] dP[i,l],   because y_i = sum_l P[i,l] v_l
/// Rows that pad have lse = inf, so that P = 0 there.
#pragma once
#include <binllm/ops/cuda/attention/tiles.cuh>

#include <numbers>

namespace binllm::cuda::detail {

inline constexpr int statistics_rows = 32;  // a block of 256 threads, eight lanes a row

[[nodiscard]] __device__ inline float dot_pair(std::uint32_t x, std::uint32_t y) {
  return float_from_bf16(static_cast<std::uint16_t>(x)) * float_from_bf16(static_cast<std::uint16_t>(y)) +
         float_from_bf16(static_cast<std::uint16_t>(x >> 16)) * float_from_bf16(static_cast<std::uint16_t>(y >> 16));
}

template <int head_dim>
__global__ void __launch_bounds__(256)
    attention_statistics_kernel(AttentionExtents<float> e, Heads<const bf16> y, Heads<const bf16> dy, const float* lse,
                                float* statistics) {
  const int padded = static_cast<int>(padded_queries(e.queries)), blocks = padded / statistics_rows;
  const int sequence_head = static_cast<int>(blockIdx.x) / blocks, lane = threadIdx.x % 8;
  const int b = sequence_head / e.heads, h = sequence_head % e.heads;
  const int row = static_cast<int>(blockIdx.x) % blocks * statistics_rows + static_cast<int>(threadIdx.x) / 8;
  const bool valid = row < e.queries;
  float delta = 0;
#pragma unroll
  for (int chunk = lane; chunk < head_dim / 8; chunk += 8) {
    if (!valid) break;
    const uint4 a = *reinterpret_cast<const uint4*>(y.at(b, h) + row * y.token + 8 * chunk);
    const uint4 d = *reinterpret_cast<const uint4*>(dy.at(b, h) + row * dy.token + 8 * chunk);
    delta += dot_pair(a.x, d.x) + dot_pair(a.y, d.y) + dot_pair(a.z, d.z) + dot_pair(a.w, d.w);
  }
  for (int step = 1; step < 8; step *= 2) delta += __shfl_xor_sync(0xffffffffu, delta, step);
  if (lane != 0) return;
  float* to = statistics + static_cast<Index>(sequence_head) * 2 * padded + row;
  to[0] = valid ? lse[static_cast<Index>(sequence_head) * e.queries + row] * std::numbers::log2e_v<float> : INFINITY;
  to[padded] = delta;
}

}  // namespace binllm::cuda::detail
