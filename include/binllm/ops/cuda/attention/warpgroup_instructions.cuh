// SPDX-License-Identifier: MIT
/// Hopper's matrix products of a warpgroup (four warps, 64 rows), one named function for each instruction. They run
/// beside the threads: what they read and write is theirs from `begin_products` until `wait_products`. They exist in
/// code for compute capability 9.0a alone; elsewhere kernels with them stop, and `has_warpgroup_products` says not to
/// start them.
#pragma once
#include <binllm/device/cuda/runtime.cuh>

#include <cstdint>

namespace binllm::cuda::detail {

/// A matrix of 128-byte rows from `address` on, whose 16-byte pieces lie at piece ^ row % 8 (the 128-byte swizzle;
/// tiles start at multiples of 1024 bytes). Groups of eight rows are 1024 bytes apart, in both fields of the
/// descriptor: 64 columns are one swizzle wide, so that no operand here has a second stride.
[[nodiscard]] __device__ inline std::uint64_t matrix_descriptor(std::uint32_t address) {
  constexpr std::uint64_t swizzle_128_bytes = std::uint64_t{1} << 62, stride = 1024 >> 4;
  return swizzle_128_bytes | stride << 32 | stride << 16 | ((address & 0x3ffffu) >> 4);
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// All committed groups but the last `pending` ones are done; c, the result of one that is, may be read.
template <int pending, int n>
__device__ void wait_products(float (&c)[n][4]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
#pragma unroll
  for (int i = 0; i < n; ++i) {
    asm volatile("" : "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])::"memory");
  }
}

/// c (64 x 64) = a (64 x 16) b^T (b: 64 x 16), plus c where `add`; rows of a and b are contiguous along the 16.
__device__ inline void warpgroup_scores(float (*c)[4], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{.reg .pred add; setp.ne.b32 add, %34, 0; "
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, %32, %33, add, 1, 1, 0, 0;}"
      : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]),
        "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]),
        "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]),
        "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]),
        "+f"(c[7][0]), "+f"(c[7][1]), "+f"(c[7][2]), "+f"(c[7][3])
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// c (64 x 64) += a (64 x 16) b (b: 16 x 64, rows contiguous along the 64); a in registers.
__device__ inline void warpgroup_accumulate(float (*c)[4], const std::uint32_t (&a)[4], std::uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
      : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]),
        "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]),
        "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]),
        "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]),
        "+f"(c[7][0]), "+f"(c[7][1]), "+f"(c[7][2]), "+f"(c[7][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#else

__device__ inline void begin_products() { __trap(); }
__device__ inline void commit_products() {}
template <int pending, int n>
__device__ void wait_products(float (&)[n][4]) {}
__device__ inline void warpgroup_scores(float (*)[4], std::uint64_t, std::uint64_t, bool) {}
__device__ inline void warpgroup_accumulate(float (*)[4], const std::uint32_t (&)[4], std::uint64_t) {}

#endif

/// A kernel that nobody starts: the shared memory that it has in the code for the present GPU is the answer to
/// `has_warpgroup_products`.
template <class = void>
__global__ void warpgroup_question_kernel(int* answer) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  __shared__ int mark[1];
  mark[0] = *answer;
  __syncthreads();
  answer[threadIdx.x] = mark[0];
#else
  *answer = 0;
#endif
}
[[nodiscard]] inline bool has_warpgroup_products() {
  static const bool answer = [] {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, warpgroup_question_kernel<>), "attention");
    return attributes.sharedSizeBytes > 0;
  }();
  return answer;
}

}  // namespace binllm::cuda::detail
