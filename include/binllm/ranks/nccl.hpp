// SPDX-License-Identifier: MIT
/// Ranks of GPUs: one process a GPU, by NCCL, which is loaded when it is first used. Needs binllm::cuda and binllm::ranks.
#pragma once
#include <binllm/device/cuda.hpp>
#include <binllm/ranks/any_communicator.hpp>
#include <binllm/ranks/host_ranks.hpp>

#include <memory>

namespace binllm::cuda {

/// Sums and shares of GPU memory, on a stream of their own beside the one that computes; a recorded step records them
/// too. Sums are NCCL's: the same bits on all ranks, and again for the same number of ranks on the same machines. Host
/// data goes by `host`, which also watches over the ranks.
template <class = void>
struct Nccl {
  /// After cuda::use_device; two ranks must not share a GPU. Errors: device_missing where there is no NCCL, device_failed
  /// with NCCL's own words.
  [[nodiscard]] static AnyCommunicator open(std::shared_ptr<HostRanks> host);
};

}  // namespace binllm::cuda
