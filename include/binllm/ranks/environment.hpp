// SPDX-License-Identifier: MIT
/// Where a process stands among ranks, as who started it says: mpirun, torchrun, srun, or this library's program itself,
/// which speaks as torchrun does. Link binllm::ranks.
#pragma once
#include <binllm/core/shape.hpp>

#include <cstdlib>
#include <string>

namespace binllm {

struct RankEnvironment {
  Index rank = 0, size = 1;
  Index local_rank = 0;    ///< among those of this host: the number of its GPU
  std::string launcher{};  ///< "mpirun", "torchrun", "srun"; empty: started alone
  std::string host{};      ///< where rank 0 listens for the others; empty: MPI knows
  int port = 0;
};

/// The value of an environment variable, or null.
using Getenv = const char* (*)(const char*);
[[nodiscard]] inline const char* environment_variable(const char* name) { return std::getenv(name); }

/// mpirun's OMPI_COMM_WORLD_*, else torchrun's RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, else those of a
/// step of Slurm, else alone. MASTER_ADDR and MASTER_PORT say for all of them where ranks meet; without, mpirun's meet
/// through MPI and Slurm's on the first node of the step. A batch script of Slurm is no step.
/// Errors: config_inconsistent, naming the variable that is missing or contradicts another; option_out_of_range.
[[nodiscard]] RankEnvironment read_environment(Getenv variable = environment_variable);

/// Seconds after which a rank that says nothing, or that does nothing, counts as hung: BINLLM_RANKS_TIMEOUT, else 20;
/// 0: never. Errors: option_out_of_range.
[[nodiscard]] double ranks_timeout(Getenv variable = environment_variable);

}  // namespace binllm
