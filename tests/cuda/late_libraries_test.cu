// SPDX-License-Identifier: MIT
// The libraries that are loaded when first used have what we take from them. Needs CUDA's libraries, but no GPU.
#include <binllm/device/cuda/kernel.hpp>
#include <binllm/methods/post_training/gram_sum.hpp>

#include <doctest/doctest.h>

using namespace binllm;

TEST_CASE("cuBLASLt and cuSOLVER are found, with every function that is used") {
  CHECK_NOTHROW((void)binllm::cuda::cublas_lt());
  CHECK_NOTHROW((void)binllm::cuda::cusolver());
}
