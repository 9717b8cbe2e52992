// SPDX-License-Identifier: MIT
#include "cuda/step.hpp"

namespace binllm::bench {

GpuStepReport measure_step_on_gpu(const StepSetting& setting, int device, const std::string& precision,
                                  double started) {
  cuda::use_device(device);
  if (precision == "tf32") cuda::set_matmul_precision(cuda::MatmulPrecision::tf32);
  if (precision != "bf16" && precision != "tf32" && precision != "float32") {
    throw Error(ErrorId::unknown_name, "bench_train_step", "--precision", "float32, tf32 or bf16", precision);
  }
  GpuStepReport report;
  report.step = precision == "bf16" ? measure_step_on<bf16, Cuda>(setting, started)
                                    : measure_step_on<float, Cuda>(setting, started);
  report.device = cuda::device_name();
  report.peak_bytes = cuda::memory().peak;
  return report;
}

}  // namespace binllm::bench
