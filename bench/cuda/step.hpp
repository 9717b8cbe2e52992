// SPDX-License-Identifier: MIT
/// bench_train_step on a GPU, for a program that is built with binllm::cuda.
#pragma once
#include "support/step.hpp"

namespace binllm::bench {

struct GpuStepReport {
  StepReport step;
  std::string device;
  std::size_t peak_bytes = 0;  ///< held at once by all tensors and arenas
};

/// `precision` is float32, tf32 or bf16. Errors: device_missing, out_of_memory, unknown_name.
[[nodiscard]] GpuStepReport measure_step_on_gpu(const StepSetting& setting, int device, const std::string& precision,
                                                double started);

}  // namespace binllm::bench
