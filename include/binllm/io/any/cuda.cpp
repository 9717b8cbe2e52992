// SPDX-License-Identifier: MIT
#include <binllm/device/cuda.hpp>
#include <binllm/io/any/gpu_ranks.hpp>
#include <binllm/io/any/models_on.hpp>
#include <binllm/ranks/nccl.hpp>

namespace binllm {

AnyDevice AnyDevice::on_gpu(int index, Precision precision) {
  if (cuda::device_count() == 0) {
    throw Error(ErrorId::device_missing, "AnyDevice", "gpu", "an NVIDIA GPU and its driver",
                "no NVIDIA GPU, or no driver that runs one");
  }
  cuda::use_device(index);
  cuda::set_matmul_precision(precision == Precision::tf32 ? cuda::MatmulPrecision::tf32
                                                          : cuda::MatmulPrecision::float32);
  cuda::reset_peak_memory();
  const cuda::Memory memory = cuda::memory();
  return {precision, Gpu{cuda::device_name(), memory.total, memory.free}};
}

int gpu_count() { return cuda::device_count(); }
AnyCommunicator ranks_on_gpus(std::shared_ptr<HostRanks> host) { return cuda::Nccl<>::open(std::move(host)); }
std::size_t peak_gpu_bytes() { return cuda::memory().peak; }

const detail::AnyModels& detail::models_of_gpu(Precision precision) {
  static const ModelsOn<float, Cuda> in_float;
  static const ModelsOn<bf16, Cuda> in_bf16;
  if (precision == Precision::bf16) return in_bf16;
  return in_float;
}

}  // namespace binllm
