// SPDX-License-Identifier: MIT
/// Where a model computes, and in which numbers, chosen while a program runs. Link binllm::any.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace binllm {

/// Parameters, gradients and moments are float in all of them.
enum class Precision {
  float32,
  tf32,  ///< products on a GPU's tensor cores: factors rounded to 11 bits, sums in float
  bf16   ///< activations in bf16, sums of products in float; on a GPU on its tensor cores
};
[[nodiscard]] std::string_view to_string(Precision precision) noexcept;

/// Bytes are of the GPU's memory.
struct Gpu {
  std::string name;
  std::size_t total_bytes = 0, free_bytes = 0;
};

/// The CPU, in float32 or bf16, or what `on_gpu` returned.
struct AnyDevice {
  Precision precision = Precision::float32;
  std::optional<Gpu> gpu{};

  /// From here on all work for GPUs goes to this one. Errors: device_missing, also of a program without CUDA.
  [[nodiscard]] static AnyDevice on_gpu(int index, Precision precision = Precision::float32);
};

/// The most bytes of the GPU that tensors have held since it was chosen; 0 in a program without CUDA.
[[nodiscard]] std::size_t peak_gpu_bytes();

}  // namespace binllm
