// SPDX-License-Identifier: MIT
/// Kernels that start before the one before them has ended, where the GPU can do it (programmatic dependent launch, from
/// Hopper on): what they ask of memory that nobody writes is then under way already. nvcc only.
#pragma once
#include <binllm/device/cuda/runtime.cuh>

#include <cstddef>
#include <string_view>

namespace binllm::cuda {

/// A kernel reads nothing that others write until this returns.
__device__ inline void wait_for_kernel_before() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// The next kernel may start from here on.
__device__ inline void release_next_kernel() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
template <class = void>
__global__ void early_start_question_kernel() {}
/// Whether kernels were translated with these instructions.
[[nodiscard]] inline bool starts_early() {
  static const bool answer = [] {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, early_start_question_kernel<>), "launch_early");
    return attributes.ptxVersion >= 90;
  }();
  return answer;
}
/// As `launch`, of a kernel that calls the two functions above; an ordinary one where they do nothing.
template <class Kernel, class... A>
void launch_early(std::string_view operation, Kernel kernel, dim3 grid, int threads, std::size_t shared_bytes,
                  const A&... arguments) {
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream();
  config.attrs = &early;
  config.numAttrs = starts_early() ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, arguments...), operation);
}

}  // namespace binllm::cuda
