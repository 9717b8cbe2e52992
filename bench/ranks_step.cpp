// SPDX-License-Identifier: MIT
// A QAT step on several GPUs, one process each, started as torchrun starts one: tokens a second, memory, and what its
// collectives take by themselves. --check: sums of NCCL are right, and a recorded step is what one GPU computes.
// bench/ranks.sh starts it beside PyTorch.
#include <binllm/device/cuda.hpp>
#include <binllm/models/shapes.hpp>
#include <binllm/ranks/nccl.hpp>
#include <binllm/ranks/open.hpp>

#include <algorithm>
#include <cmath>
#include <exception>

#include "support/arguments.hpp"
#include "support/step.hpp"

namespace bl = binllm;
using bl::Index;
using bl::View;

namespace {

using Ranks = bl::AnyCommunicator;
using Parallel = bl::Parallel<Ranks, bl::AnySharding>;

struct Named {
  std::string_view name;
  bl::PublishedShape model;
  Index batch, context;
};
Named setting_named(const std::string& name, const bl::bench::Arguments& arguments) {
  const std::array settings{
      Named{"tiny", {"", "llama", 500, 64, 96, 3, 4, 2, 64, true}, 4, 64},
      Named{"B", bl::published_shape("SmolLM-135M"), 16, 2048},
      Named{"C", bl::published_shape("LLaMA-3.2-1B"), 4, 2048},
      Named{"7B", bl::published_shape("LLaMA2-7B"), 4, 2048},
  };
  for (const Named& setting : settings) {
    if (setting.name == name) return setting;
  }
  arguments.refuse("--config " + name);
}

/// The most over ranks.
double most(const Ranks& ranks, double number) {
  double found = number;
  for (const std::string& bytes : ranks.gather({reinterpret_cast<const char*>(&number), sizeof number})) {
    double one = 0;
    bytes.copy(reinterpret_cast<char*>(&one), sizeof one);
    found = std::max(found, one);
  }
  return found;
}

/// What a step sends, unit by unit, and nothing else; milliseconds.
double collectives_alone(const Ranks& ranks, const std::vector<Index>& units, const bl::AnySharding& sharding) {
  bl::Tensor<float, bl::Cuda> memory(bl::Shape{*std::max_element(units.begin(), units.end())});
  std::vector<double> seconds;
  for (int round = 0; round < 8; ++round) {
    bl::Backend<bl::Cuda>::synchronise();
    ranks.barrier();
    const double start = bl::bench::now();
    for (const Index size : units) {
      const View<float, bl::Cuda> unit(memory.view().data, bl::Shape{size});
      if (sharding.divides_optimizer()) {
        ranks.sum_share(unit);
        ranks.gather_shares(unit);
        if (sharding.divides_values()) ranks.gather_shares(unit);  // for backward, again
      } else {
        ranks.sum(unit);
      }
    }
    ranks.finish();
    bl::Backend<bl::Cuda>::synchronise();
    if (round >= 2) seconds.push_back(bl::bench::now() - start);
  }
  return 1e3 * most(ranks, bl::bench::median(seconds));
}

template <class Model>
std::vector<Index> unit_sizes(const Model& model) {
  std::vector<Index> sizes;
  for (const bl::ParameterUnit& unit : model.block.units) sizes.push_back(unit.size());
  return sizes;
}

void measure(const std::string& name, const bl::bench::StepSetting& setting, const Parallel& parallel, double started) {
  const Ranks& ranks = parallel.ranks;
  bl::bench::StepReport report;
  std::vector<Index> units;
  {
    auto model = bl::binarize<bl::bench::StepRecipe>([&] {
      bl::Llama<bl::bf16, bl::Cuda> dense(setting.model);
      bl::initialise(dense, 1);
      return dense;
    }());
    units = unit_sizes(model);
    bl::cuda::reset_peak_memory();
    report = bl::bench::measure_step(model, setting, started, parallel);
  }
  const double peak = most(ranks, static_cast<double>(bl::cuda::memory().peak));
  const double alone = ranks.size() == 1 ? 0 : collectives_alone(ranks, units, parallel.sharding);
  const double step = most(ranks, report.step_seconds);
  if (ranks.rank() != 0) return;
  fmt::print(
      "{{\"config\": \"{}\", \"ranks\": {}, \"shard\": \"{}\", \"recompute\": {}, \"batch\": {}, "
      "\"tokens_per_second\": {:.0f}, \"step_ms\": {:.3f}, \"peak_gib\": {:.2f}, \"collectives_ms\": {:.3f}, "
      "\"parameters\": {}, \"first_loss\": {:.5f}, \"last_loss\": {:.5f}, \"device\": \"{}\"}}\n",
      name, ranks.size(), parallel.sharding.name(), setting.recompute, setting.batch,
      static_cast<double>(ranks.size() * setting.tokens()) / step, 1e3 * step, peak / (1 << 30), alone,
      report.parameters, report.first_loss, report.last_loss, bl::cuda::device_name());
}

// ---- --check

void require(bool right, const std::string& what) {
  if (!right) throw bl::Error(bl::ErrorId::rank_failed, "bench_ranks_step", "--check", "what one GPU computes", what);
}

/// Whole numbers, whose sums are exact in any order.
template <class T>
void check_sums(const Ranks& ranks, Index count) {
  const auto number = [](Index rank, Index i) { return static_cast<float>((rank + 1) * (i % 13)); };
  bl::Tensor<T> host(bl::Shape{count});
  bl::Tensor<T, bl::Cuda> device(bl::Shape{count});
  const auto put = [&] {
    for (Index i = 0; i < count; ++i) host.view().data[i] = static_cast<T>(number(ranks.rank(), i));
    bl::Backend<bl::Cuda>::copy(device.view().data, host.view().data, sizeof(T) * static_cast<std::size_t>(count));
  };
  const auto right = [&](bl::Share share) {
    const bl::OnHost values(bl::read(device.view()));
    for (Index i = share.begin; i < share.begin + share.size; ++i) {
      float sum = 0;
      for (Index rank = 0; rank < ranks.size(); ++rank) sum += number(rank, i);
      if (static_cast<float>(values.view().data[i]) != sum) return false;
    }
    return true;
  };
  put();
  ranks.finish(ranks.sum(device.view()));
  require(right({0, count}), fmt::format("sum of {}", count));
  put();
  ranks.finish(ranks.sum_share(device.view()));
  require(right(bl::share_of(count, ranks.rank(), ranks.size())), fmt::format("sum_share of {}", count));
  ranks.gather_shares(device.view());
  ranks.finish();
  require(right({0, count}), fmt::format("gather_shares of {}", count));
}

/// Losses of steps in which each rank has its rows of the same batch.
std::vector<double> losses_of(const Named& named, Index rows, const Parallel& parallel) {
  auto model = bl::binarize<bl::bench::StepRecipe>([&] {
    bl::Llama<float, bl::Cuda> dense(named.model.config());
    bl::initialise(dense, 1);
    return dense;
  }());
  using Model = decltype(model);
  const Index own = rows / parallel.ranks.size(), first = parallel.ranks.rank() * own * named.context;
  bl::TrainingStep<Model, bl::NextToken, bl::AdamW<float, bl::Cuda>, Ranks, bl::AnySharding> training(
      model, own, 0, named.context, {}, false, {}, parallel.ranks, parallel.sharding);
  std::vector<double> losses;
  for (Index step = 0; step < 8; ++step) {
    const auto fill = [&](View<std::int32_t> ids, View<std::int32_t> targets) {
      for (Index i = 0; i < ids.size(); ++i) {
        const Index at = first + i + 7 * step;
        ids.data[i] = static_cast<std::int32_t>(at * at % 487);
        targets.data[i] = static_cast<std::int32_t>((at + 1) * (at + 1) % 487);
      }
    };
    losses.push_back(training.run(fill, step, 1e-3, 2.0, 1.0).loss);
  }
  return losses;
}

void check(const Named& tiny, const Ranks& ranks) {
  for (const Index count : {Index{7}, Index{1000}, 16 * ranks.size() * 1024}) {
    check_sums<float>(ranks, count);
    check_sums<double>(ranks, count);
    check_sums<bl::bf16>(ranks, count);
  }
  const Index rows = 4 * ranks.size();
  const auto alone = losses_of(tiny, rows, {});
  bl::for_each_type<bl::ShippedShardings>([&]<class S>() {
    const auto together = losses_of(tiny, rows, {ranks, S{}}), again = losses_of(tiny, rows, {ranks, S{}});
    require(together == again, fmt::format("other bits at the second time, --shard {}", S::name));
    for (std::size_t step = 0; step < alone.size(); ++step) {
      const double apart = std::abs(together[step] - alone[step]);
      require(apart < 2e-4 * alone[step],
              fmt::format("loss {} for {} in step {}, --shard {}", together[step], alone[step], step, S::name));
    }
    if (ranks.rank() == 0)
      fmt::print("--shard {}: losses of {} ranks are those of one, {:.6f} -> {:.6f}\n", S::name, ranks.size(),
                 together.front(), together.back());
  });
}

}  // namespace

int main(int count, char** words) {
  const double started = bl::bench::now();
  bl::bench::Arguments arguments(
      count, words,
      "bench_ranks_step [--config tiny|B|C|7B] [--shard none|optimizer|gradients|parameters] [--batch N] "
      "[--steps K] [--recompute] [--check]\n  RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and "
      "MASTER_PORT say which of how many it is; none: alone");
  const bool checks = arguments.flag("--check");
  const std::string name = arguments.text("--config", checks ? "tiny" : "B");
  const Named named = setting_named(name, arguments);
  const std::string shard = arguments.text("--shard", "none");
  bl::bench::StepSetting setting{.model = named.model.config(),
                                 .batch = arguments.number("--batch", static_cast<int>(named.batch)),
                                 .context = named.context,
                                 .micro_batch = 0,
                                 .binary = true,
                                 .recompute = arguments.flag("--recompute"),
                                 .steps = arguments.number("--steps", 12)};
  setting.micro_batch = setting.batch;
  setting.model.max_position_embeddings = setting.context;
  arguments.end();
  Ranks ranks;
  try {
    const bl::RankEnvironment environment = bl::read_environment();
    bl::cuda::use_device(static_cast<int>(environment.local_rank));
    if (environment.size > 1) ranks = bl::cuda::Nccl<>::open(bl::open_host_ranks(environment));
    if (checks) {
      check(named, ranks);
    } else {
      measure(name, setting, {ranks, bl::AnySharding::named(shard)}, started);
    }
  } catch (const std::exception& error) {
    ranks.fail(error.what());
    fmt::print(stderr, "rank {}: {}\n", ranks.rank(), error.what());
    return 1;
  }
}
