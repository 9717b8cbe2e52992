// SPDX-License-Identifier: MIT
/// The machine's instructions that the attention kernels use, one named function each; everything above this file is
/// plain C++. Names of registers as in the PTX manual: a lane is 4 g + t, g < 8, t < 4.
#pragma once
#include <cstdint>

namespace binllm::cuda::detail {

[[nodiscard]] __device__ inline unsigned char* shared_memory() {
  extern __shared__ __align__(1024) unsigned char attention_memory[];
  return attention_memory;
}

[[nodiscard]] __device__ inline std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

[[nodiscard]] __device__ inline float2 load_shared_pair(std::uint32_t address) {
  float2 pair;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(pair.x), "=f"(pair.y) : "r"(address) : "memory");
  return pair;
}

/// Four 8 x 8 matrices; lane l names row l % 8 of matrix l / 8 and receives (g, 2t), (g, 2t + 1) of each.
__device__ inline void load_matrices(std::uint32_t (&m)[4], std::uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(row)
               : "memory");
}

/// The same of the transposed matrices: (2t, g), (2t + 1, g).
__device__ inline void load_matrices_transposed(std::uint32_t (&m)[4], std::uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(row)
               : "memory");
}

/// c (16 x 8) += a (16 x 16) b (16 x 8). A lane holds
///   of c   (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
///   of a   pairs at (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8)
///   of b   pairs at (2t, g), (2t + 8, g)
__device__ inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// 16 bytes into shared memory without waiting; zeros where not `valid` (`from` is not read then).
__device__ inline void copy_async(std::uint32_t to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
               "r"(valid ? 16 : 0)
               : "memory");
}

__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// All copies of this thread have landed, and the warpgroups' products, which read memory by another way, may see them
/// after the next barrier.
__device__ inline void wait_copies() {
  asm volatile("cp.async.wait_group 0;" ::: "memory");
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

[[nodiscard]] __device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Two floats rounded to bf16; `low` is the element of the lower index.
[[nodiscard]] __device__ inline std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

}  // namespace binllm::cuda::detail
