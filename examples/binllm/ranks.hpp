// SPDX-License-Identifier: MIT
/// The ranks that a command works on, and what they divide among them.
#pragma once
#include "shared.hpp"

#include <binllm/io/any/any_model.hpp>
#include <binllm/ranks/any_communicator.hpp>
#include <binllm/ranks/sharding.hpp>

#include <algorithm>
#include <string>

namespace program {

/// The ranks that this process is one of, once a command has opened them; else itself alone.
[[nodiscard]] binllm::AnyCommunicator& ranks_of_process();
/// "rank 2: " in one of several, for what it writes to standard error.
[[nodiscard]] std::string rank_prefix();
/// Whether rank 0 says what this error of another rank says, because it has told or found it.
[[nodiscard]] bool said_by_rank_0(const binllm::Error& error);

struct RanksFlags {
  binllm::Index devices = 1;
  std::string shard{binllm::NoSharding::name};
  binllm::AnyCommunicator ranks{};

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    Flag names;
    names.one_of = names_in<binllm::ShippedShardings>();
    v("devices", self.devices,
      "train on so many GPUs of this host, a process each; with --device cpu on so many processes", between(1, 1024));
    v("shard", self.shard,
      "what ranks divide instead of keeping all of it on each: none, optimizer (its state), gradients (those too) or "
      "parameters (all)",
      names);
  }
  /// Called first by a command, in place of theirs: puts threads and device into force, on each rank. Where mpirun,
  /// torchrun or srun has started this process, its ranks are those; else --devices starts them here. A dry run starts
  /// none. Errors: those of both, of read_environment, rank_failed; config_inconsistent for --devices beside a launcher.
  void apply(const Common& common, DeviceChoice& device, bool dry_run);
  /// Refuses ranks that would train something else than rank 0: other options, texts or models, as run.json records them.
  /// Errors: rank_failed on all of them.
  void require_same(Json config, const binllm::TrainingOptions& training) const {
    config.erase("device");
    config["evaluate_windows"] = training.evaluate_windows;  // does not matter for the result, but all take part
    binllm::require_same(ranks, "options", config.dump());
  }
  /// Of ranks that are there. Errors: config_inconsistent for a flag that does nothing on one rank.
  void refuse_idle(const GivenFlags& given) const {
    if (count() == 1) given.refuse({"shard"}, "several ranks", "one");
  }
  /// Before anything is written. Errors: option_out_of_range for a batch that ranks do not divide; config_inconsistent for
  /// an optimiser that cannot be divided.
  void check(const binllm::TrainingOptions& training) const {
    training.check(count());
    const bool divided = count() > 1 && binllm::AnySharding::named(shard).divides_optimizer();
    if (!divided || !training.chosen_optimiser().needs_matrices()) return;
    throw binllm::Error(binllm::ErrorId::config_inconsistent, "binllm", "--shard",
                        "none with --optimizer muon and --decay-to signs, which work on whole matrices", shard);
  }
  /// Those of a dry run would be there.
  [[nodiscard]] binllm::Index count() const { return std::max(ranks.size(), dry_run_of_); }
  /// Files are written by this rank.
  [[nodiscard]] bool writes() const { return ranks.rank() == 0; }
  [[nodiscard]] binllm::AnyParallel parallel() const { return {ranks, binllm::AnySharding::named(shard)}; }
  [[nodiscard]] binllm::RanksForecast forecast() const { return {count(), binllm::AnySharding::named(shard)}; }
  /// ", 4 ranks (--shard optimizer)"; empty of one.
  [[nodiscard]] std::string description() const {
    return count() == 1 ? std::string() : fmt::format(", {} ranks (--shard {})", count(), shard);
  }
  /// Adds "ranks" and "shard" of several.
  void add_to(Json& object) const {
    if (count() == 1) return;
    object["ranks"] = count();
    object["shard"] = shard;
  }

 private:
  binllm::Index dry_run_of_ = 1;
};

}  // namespace program
