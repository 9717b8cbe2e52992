// SPDX-License-Identifier: MIT
/// The program as several ranks: started by itself, by a launcher's variables, by mpirun; and how they end together.
#include "program.hpp"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

using namespace binllm::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::string pretrain(const fs::path& out, const std::string& more = "") {
  return "pretrain --built-in --tokens 4096 --valid-windows 2 --json --out " + out.string() + tiny + more;
}

/// A long training of two ranks that has taken its first steps.
Started long_training(const TemporaryFolder& folder) {
  const fs::path out = folder / "run";
  Started started(folder, "pretrain --built-in --tokens 4000000 --checkpoint-every 50 --json --out " + out.string() +
                              tiny + "--devices 2");
  started.wait_for_text_in(out / "metrics.jsonl");  // before its first step a signal ends it
  return started;
}

}  // namespace

TEST_CASE("a training on ranks that the program starts is the training of one process") {
  const TemporaryFolder folder;
  const Outcome one = run(folder, pretrain(folder / "one"));
  REQUIRE_MESSAGE(one.code == 0, one.error);
  for (const std::string shard : {"none", "optimizer", "gradients", "parameters"}) {
    const Outcome two = run(folder, pretrain(folder / shard, " --devices 2 --shard " + shard));
    REQUIRE_MESSAGE(two.code == 0, two.error);
    const double alone = json::parse(one.out)["validation_nll"], together = json::parse(two.out)["validation_nll"];
    CHECK(std::abs(alone - together) < 1e-3);
    CHECK(json::parse(two.out)["ranks"] == 2);
  }
}

TEST_CASE("ranks that variables tell of each other, and those of mpirun, train together") {
  const TemporaryFolder folder;
  const std::string launched =
      "{ for r in 1 0; do RANK=$r LOCAL_RANK=$r WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$PORT " +
      std::string(BINLLM_PROGRAM) + " ";
  const std::string port = fmt::format("PORT={} ; ", 20000 + ::getpid() % 20000);
  const Outcome two = run_shell(folder, port + launched + pretrain(folder / "two") + " & done; wait; }");
  REQUIRE_MESSAGE(two.error == "", two.error);
  CHECK(json::parse(two.out)["ranks"] == 2);

  const std::string differ = " --seed $((r + 7)) & done; wait; }";
  const Outcome apart = run_shell(folder, port + launched + pretrain(folder / "apart") + differ);
  CHECK(contains(apart.error, "E701: ranks: options: wanted the same on all 2 ranks, found others on rank 1"));
  CHECK_FALSE(fs::exists(folder / "apart"));

  if (run_shell(folder, "command -v mpirun").code != 0) {
    MESSAGE("skipped: no mpirun");
    return;
  }
  const Outcome by_mpi = run_shell(folder, "mpirun -n 2 --oversubscribe --allow-run-as-root " +
                                               std::string(BINLLM_PROGRAM) + " " + pretrain(folder / "mpi"));
  REQUIRE_MESSAGE(by_mpi.code == 0, by_mpi.error);
  CHECK(json::parse(by_mpi.out)["last_loss"] == json::parse(two.out)["last_loss"]);
}

TEST_CASE("flags and variables that contradict each other are refused") {
  const TemporaryFolder folder;
  const Outcome twice = run(folder, pretrain(folder / "a", " --devices 2"),
                            "RANK=0 LOCAL_RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29300");
  CHECK(twice.code == 1);
  CHECK(contains(twice.error, "E302: binllm: --devices: wanted none beside torchrun"));
  CHECK(run(folder, pretrain(folder / "a"), "RANK=0").code == 1);
  const Outcome idle = run(folder, pretrain(folder / "a", " --shard optimizer"));
  CHECK(contains(idle.error, "E302"));
  const Outcome dry = run(folder, pretrain(folder / "a", " --devices 4 --shard optimizer --dry-run"));
  CHECK_MESSAGE(dry.code == 0, dry.error);
  CHECK(json::parse(dry.out)["ranks"] == 4);
  CHECK_FALSE(fs::exists(folder / "a"));
}

TEST_CASE("a rank that is killed ends all, and is named") {
  const TemporaryFolder folder;
  const Started started = long_training(folder);
  const auto ranks = started.children();
  REQUIRE(ranks.size() == 2);
  ::kill(ranks[1], SIGKILL);
  const auto [status, seconds] = started.end();
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 128 + SIGKILL);
  CHECK(seconds < 15);
  CHECK_MESSAGE(contains(started.errors(), "E701: ranks: rank 1 (process "), started.errors());
  for (const pid_t rank : ranks) CHECK(::kill(rank, 0) != 0);
}

TEST_CASE("a run that stopped on three ranks goes on to its end on two") {
  const TemporaryFolder folder;
  const fs::path model = folder / "model";
  const auto train = [&](const std::string& ranks) {
    std::string command = pretrain(model, "--checkpoint-every 8 --shard parameters " + ranks);
    command.replace(command.find("--batch 4"), 9, "--batch 6");  // which both divide
    const Outcome made = run(folder, command);
    REQUIRE_MESSAGE(made.code == 0, made.error);
    return made;
  };
  const double whole = json::parse(train("--devices 3").out)["validation_nll"];
  REQUIRE(fs::remove(model / "checkpoints/pretrain-22.safetensors"));  // as if it had stopped after step 16
  const Outcome rest = train("--devices 2 --resume");
  CHECK_MESSAGE(contains(rest.error, "pretrain-16.safetensors"), rest.error);
  CHECK(fs::exists(model / "checkpoints/pretrain-22.safetensors"));
  CHECK(std::abs(json::parse(rest.out)["validation_nll"].get<double>() - whole) < 1e-4);
}

TEST_CASE("an interruption stops all ranks where they can go on") {
  const TemporaryFolder folder;
  const Started started = long_training(folder);
  const auto ranks = started.children();
  started.send(SIGINT);
  const auto [status, seconds] = started.end();
  CHECK(WIFSIGNALED(status));
  CHECK(seconds < 15);
  CHECK_MESSAGE(contains(started.errors(), "--resume"), started.errors());
  CHECK_MESSAGE(!contains(started.errors(), "E701"), started.errors());
  for (const pid_t rank : ranks) CHECK(::kill(rank, 0) != 0);
}
