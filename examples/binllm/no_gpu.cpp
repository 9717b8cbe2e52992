// SPDX-License-Identifier: MIT
// A program without CUDA.
#include "device_choice.hpp"

#include <binllm/core/error.hpp>

namespace program {

Gpu choose_gpu(int, bool) {
  throw binllm::Error(binllm::ErrorId::device_missing, "binllm", "--device", "a program with CUDA",
                      "one built without it: configure with -D BINLLM_CUDA=ON where nvcc is installed");
}

std::size_t peak_gpu_bytes() { return 0; }

}  // namespace program
