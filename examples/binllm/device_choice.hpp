// SPDX-License-Identifier: MIT
/// Where a command computes, and in which numbers: --device and --precision.
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/device/cuda.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace program {

/// Bytes are of the GPU's memory.
struct Gpu {
  std::string name;
  std::size_t total_bytes = 0, free_bytes = 0;
};

struct DeviceChoice {
  std::string device = "cpu", precision = "float32";
  std::optional<Gpu> gpu{};  ///< once the choice is in force, where there is one

  void add_to(CLI::App& command);
  /// Puts the choice into force, before any work.
  /// Errors: unknown_name; config_inconsistent for a precision that the device does not have; device_missing.
  void apply();
  /// "2 threads" or "NVIDIA H200 (150.1 GB), bf16".
  [[nodiscard]] std::string description() const;
  /// Adds "device" and "precision".
  void add_to(nlohmann::ordered_json& object) const;
  /// Adds "peak_resident_bytes" and, of a GPU, "peak_gpu_bytes".
  void add_peaks_to(nlohmann::ordered_json& object) const;
  /// "12.3 MB", and what was taken of the GPU's memory.
  [[nodiscard]] std::string peaks() const;
};

/// The scalar type and the device of a choice, as types.
template <class Scalar, class Where>
struct Computation {
  using T = Scalar;
  using Device = Where;
};

/// Calls body(Computation<T, Device>{}) and returns what it returns. A program without CUDA has the CPU alone:
/// DeviceChoice::apply has refused any other choice.
template <class Body>
decltype(auto) with_device([[maybe_unused]] const DeviceChoice& choice, Body&& body) {
#if defined(BINLLM_WITH_CUDA)
  if (choice.gpu && choice.precision == "bf16") return body(Computation<binllm::bf16, binllm::Cuda>{});
  if (choice.gpu) return body(Computation<float, binllm::Cuda>{});
#endif
  return body(Computation<float, binllm::Cpu>{});
}

// What a program with CUDA (cuda/gpu.cpp) does and one without (no_gpu.cpp) refuses.

/// All work goes to GPU `index`, products of floats by TF32 where wanted. Errors: device_missing.
[[nodiscard]] Gpu choose_gpu(int index, bool tf32);
/// The most that tensors have held; 0 in a program without CUDA.
[[nodiscard]] std::size_t peak_gpu_bytes();

}  // namespace program
