// SPDX-License-Identifier: MIT
/// From the environment to a communicator of CPUs. Link binllm::ranks. For GPUs see ranks/nccl.hpp.
#pragma once
#include <binllm/ranks/any_communicator.hpp>
#include <binllm/ranks/environment.hpp>
#include <binllm/ranks/host_ranks.hpp>

#include <memory>

namespace binllm {

/// Ranks that mpirun started exchange blocks through OpenMPI, all others over TCP. Null where there is one rank. The
/// processes have met when it returns. Rank 0 may listen already: no other program can take its port then. Errors:
/// rank_failed, and those of read_environment.
[[nodiscard]] std::shared_ptr<HostRanks> open_host_ranks(const RankEnvironment& environment = read_environment(),
                                                         tcp::Socket listener = {});

}  // namespace binllm
