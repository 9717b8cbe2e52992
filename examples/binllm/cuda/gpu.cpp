// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/device/cuda.hpp>

#include "../device_choice.hpp"

namespace program {

namespace cuda = binllm::cuda;

Gpu choose_gpu(int index, bool tf32) {
  if (cuda::device_count() == 0) {
    throw binllm::Error(binllm::ErrorId::device_missing, "binllm", "--device", "an NVIDIA GPU and its driver",
                        "no NVIDIA GPU, or no driver that runs one");
  }
  cuda::use_device(index);
  if (tf32) cuda::set_matmul_precision(cuda::MatmulPrecision::tf32);
  cuda::reset_peak_memory();
  const cuda::Memory memory = cuda::memory();
  return {cuda::device_name(), memory.total, memory.free};
}

std::size_t peak_gpu_bytes() { return cuda::memory().peak; }

}  // namespace program
