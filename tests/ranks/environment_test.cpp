// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <binllm/ranks/environment.hpp>

#include "refusal.hpp"

#include <map>
#include <string>

using namespace binllm;
using binllm::test::refuses;

namespace {
using Variables = std::map<std::string, std::string>;
const Variables* given = nullptr;
Getenv in(const Variables& variables) {
  given = &variables;
  return [](const char* name) -> const char* {
    const auto found = given->find(name);
    return found == given->end() ? nullptr : found->second.c_str();
  };
}
}  // namespace

TEST_CASE("a process that nobody launched is alone") {
  const Variables none, batch_script{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "7"}};
  for (const auto& variables : {none, batch_script}) {
    const RankEnvironment e = read_environment(in(variables));
    CHECK(e.size == 1);
    CHECK(e.launcher.empty());
  }
}

TEST_CASE("mpirun, torchrun and srun are understood") {
  const Variables mpirun{
      {"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}};
  RankEnvironment e = read_environment(in(mpirun));
  CHECK(e.rank == 3);
  CHECK(e.size == 4);
  CHECK(e.local_rank == 1);
  CHECK(e.host.empty());

  Variables torchrun{{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "1"}, {"MASTER_ADDR", "a"}};
  torchrun["MASTER_PORT"] = "29500";
  e = read_environment(in(torchrun));
  CHECK(e.rank == 1);
  CHECK(e.host == "a");
  CHECK(e.port == 29500);
  torchrun["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  CHECK(read_environment(in(torchrun)).port == 29501);

  Variables srun{{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "8"}, {"SLURM_PROCID", "5"}, {"SLURM_LOCALID", "1"}};
  srun["SLURM_STEP_NODELIST"] = "gpu[03-04,9],login";
  srun["SLURM_JOB_ID"] = "11";
  e = read_environment(in(srun));
  CHECK(e.rank == 5);
  CHECK(e.size == 8);
  CHECK(e.host == "gpu03");
  CHECK(e.port == 20000 + 11 * 16);
  srun["SLURM_STEP_NODELIST"] = "node7,node8";
  srun["MASTER_PORT"] = "4000";
  e = read_environment(in(srun));
  CHECK(e.host == "node7");
  CHECK(e.port == 4000);
}

TEST_CASE("environments that miss a value or contradict another are refused by its name") {
  const Variables no_size{{"RANK", "0"}}, no_place{{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "0"}};
  const Variables beyond{{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "0"}};
  const Variables word{{"RANK", "one"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "0"}};
  Variables both{{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "0"}, {"OMPI_COMM_WORLD_RANK", "1"}};
  both["OMPI_COMM_WORLD_SIZE"] = "2";
  both["OMPI_COMM_WORLD_LOCAL_RANK"] = "1";
  CHECK(refuses(ErrorId::config_inconsistent, "WORLD_SIZE", [&] { (void)read_environment(in(no_size)); }));
  CHECK(refuses(ErrorId::config_inconsistent, "MASTER_ADDR", [&] { (void)read_environment(in(no_place)); }));
  CHECK(refuses(ErrorId::config_inconsistent, "RANK", [&] { (void)read_environment(in(beyond)); }));
  CHECK(refuses(ErrorId::option_out_of_range, "one", [&] { (void)read_environment(in(word)); }));
  CHECK(refuses(ErrorId::config_inconsistent, "unset RANK", [&] { (void)read_environment(in(both)); }));
}

TEST_CASE("the timeout is a number of seconds") {
  const Variables none, half{{"BINLLM_RANKS_TIMEOUT", "0.5"}}, never{{"BINLLM_RANKS_TIMEOUT", "0"}};
  CHECK(ranks_timeout(in(none)) == 20);
  CHECK(ranks_timeout(in(never)) == 0);
  CHECK(refuses(ErrorId::option_out_of_range, "0.5", [&] { (void)ranks_timeout(in(half)); }));
}
