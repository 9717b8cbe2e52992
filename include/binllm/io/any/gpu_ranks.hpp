// SPDX-License-Identifier: MIT
/// Ranks of GPUs in a program that may have been built without CUDA. Link binllm::any.
#pragma once
#include <binllm/ranks/any_communicator.hpp>

#include <memory>

namespace binllm {

class HostRanks;

/// GPUs that this process sees; 0 in a program without CUDA.
[[nodiscard]] int gpu_count();
/// Ranks whose values are on the GPUs that they have chosen: over NCCL, with `host` for the rest. Errors: device_missing
/// without NCCL or without CUDA, device_failed.
[[nodiscard]] AnyCommunicator ranks_on_gpus(std::shared_ptr<HostRanks> host);

}  // namespace binllm
