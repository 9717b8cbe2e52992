// SPDX-License-Identifier: MIT
// A program without CUDA.
#include <binllm/io/any/gpu_ranks.hpp>
#include <binllm/io/any/models_on.hpp>

namespace binllm {

namespace {
[[noreturn]] void refuse() {
  throw Error(ErrorId::device_missing, "AnyDevice", "gpu", "a program with CUDA",
              "one built without it: configure with -D BINLLM_CUDA=ON where nvcc is installed");
}
}  // namespace

AnyDevice AnyDevice::on_gpu(int, Precision) { refuse(); }
int gpu_count() { return 0; }
AnyCommunicator ranks_on_gpus(std::shared_ptr<HostRanks>) { refuse(); }
std::size_t peak_gpu_bytes() { return 0; }
const detail::AnyModels& detail::models_of_gpu(Precision) { refuse(); }

}  // namespace binllm
