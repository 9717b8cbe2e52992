// SPDX-License-Identifier: MIT
/// The ranks that a command works on, and what they divide among them.
#pragma once
#include "shared.hpp"

#include <binllm/io/any/any_model.hpp>
#include <binllm/ranks/any_communicator.hpp>
#include <binllm/ranks/sharding.hpp>

#include <string>

namespace program {

struct RanksFlags {
  std::string shard{binllm::NoSharding::name};
  binllm::AnyCommunicator ranks{};

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    Flag names;
    binllm::for_each_type<binllm::ShippedShardings>([&]<class S>() { names.one_of.emplace_back(S::name); });
    v("shard", self.shard,
      "what ranks divide instead of keeping all of it on each: none, optimizer (its state) or gradients (those too)",
      names);
  }
  /// Of ranks that are there. Errors: config_inconsistent for a flag that does nothing on one rank.
  void refuse_idle(const GivenFlags& given) const {
    if (count() == 1) given.refuse({"shard"}, "several ranks", "one");
  }
  [[nodiscard]] binllm::Index count() const { return ranks.size(); }
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
};

}  // namespace program
