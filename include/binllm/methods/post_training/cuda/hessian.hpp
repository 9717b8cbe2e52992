// SPDX-License-Identifier: MIT
/// Hessians on a GPU. For every compiler: nvcc defines what stands here (hessian.cuh).
#pragma once
#include <binllm/core/tensor.hpp>
#include <binllm/device/cuda.hpp>
#include <binllm/methods/post_training/calibrated_layer.hpp>

#include <memory>

namespace binllm::cuda {

template <class = void>
struct Hessians {
  [[nodiscard]] static std::unique_ptr<DeviceHessian> make(Tensor<double, Cuda>&& sum, double factor);
};

/// The Hessian `factor` times a symmetric matrix. Errors: out_of_memory, device_failed.
[[nodiscard]] inline std::unique_ptr<DeviceHessian> device_hessian(Tensor<double, Cuda>&& sum, double factor) {
  return Hessians<>::make(std::move(sum), factor);
}

}  // namespace binllm::cuda
