// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/memory_log.hpp"
#include "support/small_llama.hpp"
#include "support/thread_ranks.hpp"

#include <binllm/optim/sgd.hpp>
#include <binllm/train/pretrain.hpp>
#include <binllm/train/weighted_sum.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

using Model = Llama<double>;

TokenStream corpus() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 4000; ++i) ids.push_back(i * i % 37);
  return TokenStream::from_tokens(std::move(ids));
}
/// Batches that 1, 2, 3 and 4 ranks divide, in micro-batches too.
TrainingOptions options(Index steps, bool recompute = false) {
  TrainingOptions o;
  o.batch = 12, o.micro_batch = 1, o.context = 10, o.tokens = steps * 120;
  o.learning_rate = 5e-3, o.last_learning_rate = 1e-3, o.recompute = recompute;
  o.clip = 0.5;  // and the norm is above it
  o.report_every = 1, o.evaluate_every = 2, o.evaluate_windows = 7;
  return o;
}
LlamaConfig five_layers(bool tied) {
  LlamaConfig c = small_config();
  c.num_hidden_layers = 5;
  c.tie_word_embeddings = tied;
  return c;
}

/// Keeps no state after a step, as if the run had been killed then.
struct EarlyLog : MemoryLog {
  Index last = 1000;
  bool wants_checkpoint(Index step, Index) override { return step == last; }
  [[nodiscard]] EarlyLog with_states_alone() const {
    EarlyLog log = *this;
    log.reports.clear();
    log.last = 1000;
    return log;
  }
};

/// Keeps its weights small after each update.
struct Clipped : Model {
  using Model::Model;
  void after_update(Index, double) { block.values.view().flat() = block.values.view().flat().max(-0.9).min(0.9); }
};

/// What a training left behind: its log, and the values of each rank.
struct Trained {
  EarlyLog log;
  std::vector<std::vector<double>> values;

  [[nodiscard]] std::vector<double> losses(const std::string& name = "loss") const {
    std::vector<double> all;
    for (const auto& [phase, metrics] : log.reports)
      if (const auto found = metrics.find(name); found != metrics.end()) all.push_back(found->second);
    return all;
  }
};

template <class S>
Trained train_on(Index ranks, const S& sharding, const TrainingOptions& o, WorkDone when = WorkDone::at_finish,
                 bool tied = false, EarlyLog log = {}) {
  Trained result{std::move(log), std::vector<std::vector<double>>(static_cast<std::size_t>(ranks))};
  const TokenStream text = corpus();
  on_ranks(ranks, when, [&](ThreadRank rank) {
    Model model = small_llama<double>(five_layers(tied));
    RunLog nobody;
    RunLog* const mine = rank.rank() == 0 ? static_cast<RunLog*>(&result.log) : &nobody;
    pretrain(model, text, o, &text, mine, NextToken{}, Parallel{rank, sharding});
    const auto values = model.block.values.view();
    result.values[static_cast<std::size_t>(rank.rank())].assign(values.data, values.data + values.size());
  });
  return result;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]) / (1 + std::abs(b[i])));
  return largest;
}

template <class F>
void for_each_sharding(const F& f) {
  for_each_type<ShippedShardings>([&]<class S>() {
    CAPTURE(S::name);
    f(S{});
  });
}

}  // namespace

TEST_CASE("every sharding on 1 to 4 ranks is one rank: losses, norms, evaluations, values") {
  for (const bool recompute : {false, true}) {
    const bool tied = recompute;
    const TrainingOptions o = options(5, recompute);
    const Trained alone = train_on(1, NoSharding{}, o, WorkDone::at_once, tied);
    REQUIRE(alone.losses().size() == 5);
    CHECK(alone.losses("gradient_norm")[0] > o.clip);
    for_each_sharding([&](auto sharding) {
      for (Index ranks = 1; ranks <= 4; ++ranks) {
        CAPTURE(ranks);
        const Trained many = train_on(ranks, sharding, o, WorkDone::at_finish, tied);
        for (const char* name : {"loss", "gradient_norm", "validation_loss"}) {
          CAPTURE(name);
          CHECK(largest_difference(many.losses(name), alone.losses(name)) < 1e-12);
        }
        CHECK(many.losses("validation_windows") == alone.losses("validation_windows"));
        CHECK(largest_difference(many.values[0], alone.values[0]) < 1e-10);
        for (const auto& values : many.values) CHECK(values == many.values[0]);
      }
    });
  }
}

TEST_CASE("whenever its exchanges are done, a training has the same bits") {
  for_each_sharding([&](auto sharding) {
    TrainingOptions o = options(4);
    o.report_every = 100, o.evaluate_every = 0;  // nobody sees the model on the way
    const Trained late = train_on(3, sharding, o), soon = train_on(3, sharding, o, WorkDone::at_once);
    CHECK(late.values == soon.values);
    CHECK(late.losses() == soon.losses());
    CHECK(largest_difference(late.values[0], train_on(1, NoSharding{}, o).values[0]) < 1e-10);
  });
}

TEST_CASE(
    "whatever is divided, a training has the same bits; gradients with micro-batches are added in another order") {
  TrainingOptions o = options(4);
  o.evaluate_every = 0;
  const auto of = [&](auto sharding) { return train_on(3, sharding, o).values; };
  CHECK(of(NoSharding{}) == of(ShardedOptimizer{}));
  CHECK(of(ShardedGradients{}) == of(ShardedParameters{}));
  o.micro_batch = 0;
  const auto none = of(NoSharding{});
  for_each_sharding([&](auto sharding) { CHECK(of(sharding) == none); });
}

TEST_CASE("what is sent in a step: divided gradients of layers in each micro-batch, those of other units once") {
  const auto works_of = [](auto sharding) {
    Index works = 0;
    on_ranks(2, WorkDone::at_finish, [&](ThreadRank rank) {
      Model model = small_llama<double>(five_layers(true));
      TrainingStep<Model, NextToken, AdamW<double>, ThreadRank, decltype(sharding)> step(model, 3, 1, 10, {}, false, {},
                                                                                         rank, sharding);
      const auto fill = [](View<std::int32_t> ids, View<std::int32_t> targets) {
        for (Index i = 0; i < ids.size(); ++i) ids.data[i] = targets.data[i] = static_cast<std::int32_t>(i);
      };
      static_cast<void>(step.run(fill, 0, 1e-3, 0.0, 0.0));
      if (rank.rank() == 0) works = rank.works();
    });
    return works;
  };
  constexpr Index layers = 5, others = 2, parts = 3;
  CHECK(works_of(NoSharding{}) == layers + others);
  CHECK(works_of(ShardedOptimizer{}) == 2 * (layers + others));
  CHECK(works_of(ShardedGradients{}) == parts * layers + others + layers + others);
  // In forward and in backward two layers are there already.
  CHECK(works_of(ShardedParameters{}) == parts * layers + others + 2 * parts * (layers - 2) + 2 + others);
}

TEST_CASE("a state says nothing of ranks: any number of them goes on from it, the same number with the same bits") {
  const TrainingOptions o = options(5);
  for_each_sharding([&](auto sharding) {
    EarlyLog until_2;
    until_2.last = 2;
    const Trained whole = train_on(2, sharding, o, WorkDone::at_finish, false, until_2);
    CHECK(whole.log.counters.at("pretrain")[0] == 2);
    for (Index ranks = 1; ranks <= 4; ++ranks) {
      CAPTURE(ranks);
      const Trained rest = train_on(ranks, sharding, o, WorkDone::at_finish, false, whole.log.with_states_alone());
      REQUIRE(rest.losses().size() == 3);
      CHECK(largest_difference(rest.values[0], whole.values[0]) < 1e-10);
      for (const auto& values : rest.values) CHECK(values == rest.values[0]);
      if (ranks == 2) CHECK(rest.values == whole.values);
    }
    const Trained one = train_on(1, NoSharding{}, o, WorkDone::at_once, false, until_2);
    const auto& states = whole.log.states.at("pretrain");
    REQUIRE(states.size() == one.log.states.at("pretrain").size());
    for (std::size_t i = 0; i < states.size(); ++i) CHECK(states[i].size() == one.log.states.at("pretrain")[i].size());
  });
}

TEST_CASE("a state has the frozen parameters, and they come back, whatever is divided") {
  const auto train_frozen = [](Index ranks, auto sharding, double first, EarlyLog log) {
    Trained result{std::move(log), std::vector<std::vector<double>>(static_cast<std::size_t>(ranks))};
    on_ranks(ranks, WorkDone::at_finish, [&](ThreadRank rank) {
      Model model(five_layers(true));
      for_each_parameter(model, [](const std::string& name, auto& parameter) {
        parameter.rule.frozen = name.find("layers.2.mlp") != std::string::npos;
        parameter.value.data = parameter.gradient.data = nullptr;
      });
      model.block = {};
      model.block.allocate(model, true);
      initialise(model, 1, 0.3);
      const auto frozen = [&] { return model.block.values.view().data + model.block.trained; };
      REQUIRE(model.block.values.size() > model.block.trained);
      *frozen() = first;
      RunLog nobody;
      Phase phase("frozen");
      train(model, corpus(), options(4), phase, rank.rank() == 0 ? static_cast<RunLog&>(result.log) : nobody,
            NextToken{}, Parallel{rank, sharding});
      CHECK(*frozen() == 0.25);
      result.values[static_cast<std::size_t>(rank.rank())] = {model.block.values.view().data, frozen()};
    });
    return result;
  };
  EarlyLog until_2;
  until_2.last = 2;
  const Trained alone = train_frozen(1, NoSharding{}, 0.25, until_2);
  for_each_sharding([&](auto sharding) {
    const Trained two = train_frozen(2, sharding, 0.25, until_2);
    const auto &states = two.log.states.at("frozen"), &expected = alone.log.states.at("frozen");
    REQUIRE(states.size() == expected.size());
    for (std::size_t i = 0; i < states.size(); ++i) CHECK(states[i].size() == expected[i].size());
    const Trained three = train_frozen(3, sharding, 0, two.log.with_states_alone());  // the state says 0.25
    CHECK(largest_difference(three.values[2], alone.values[0]) < 1e-10);
  });
}

TEST_CASE("what acts after an update sees all of it; an optimiser with one state is divided too") {
  const auto train_clipped = [](Index ranks, auto sharding) {
    std::vector<double> values;
    on_ranks(ranks, WorkDone::at_finish, [&](ThreadRank rank) {
      Clipped model(five_layers(true));
      initialise(model, 1, 0.8);
      Phase phase("clipped");
      RunLog log;
      train(model, corpus(), options(4), phase, log, NextToken{}, SgdOptions{.momentum = 0.9},
            Parallel{rank, sharding});
      CHECK(model.block.values.view().flat().abs().maxCoeff() <= 0.9);
      if (rank.rank() == 0)
        values.assign(model.block.values.view().data, model.block.values.view().data + model.block.values.size());
    });
    return values;
  };
  const auto alone = train_clipped(1, NoSharding{});
  for_each_sharding([&](auto sharding) { CHECK(largest_difference(train_clipped(3, sharding), alone) < 1e-10); });
}

TEST_CASE("a term over all weights is summed as well; gradients are not divided where layers do not take turns") {
  const auto loss_on = [](Index ranks, auto sharding) {
    double loss = 0;
    on_ranks(ranks, WorkDone::at_finish, [&](ThreadRank rank) {
      Model model = small_llama<double>(five_layers(true));
      RunLog log;
      const double last =
          pretrain(model, corpus(), options(3), nullptr, &log,
                   sum(Weighted{1.0, NextToken{}}, Weighted{1.0, SquaredWeights{1e-2}}), Parallel{rank, sharding});
      if (rank.rank() == 0) loss = last;
    });
    return loss;
  };
  const double alone = loss_on(1, ShardedGradients{});
  CHECK(loss_on(3, NoSharding{}) == doctest::Approx(alone).epsilon(1e-12));
  CHECK(loss_on(3, ShardedOptimizer{}) == doctest::Approx(alone).epsilon(1e-12));
  CHECK(id_of([&] { loss_on(3, ShardedGradients{}); }) == ErrorId::config_inconsistent);
  CHECK(id_of([&] { loss_on(3, ShardedParameters{}); }) == ErrorId::config_inconsistent);
}

TEST_CASE("what works on whole matrices trains on ranks, and is not divided among them") {
  TrainingOptions muon = options(2), signs = options(2);
  muon.optimiser = OptimiserChoice::muon;
  signs.adamw.decay_to = DecayTarget::signs;
  for (const TrainingOptions& o : {muon, signs}) {
    CHECK(o.chosen_optimiser().needs_matrices());
    CHECK(largest_difference(train_on(3, NoSharding{}, o).values[0], train_on(1, NoSharding{}, o).values[0]) < 1e-8);
    CHECK(id_of([&] { train_on(2, ShardedOptimizer{}, o); }) == ErrorId::config_inconsistent);
  }
  CHECK(!options(2).chosen_optimiser().needs_matrices());
}

TEST_CASE("ranks that do not divide a batch are refused") {
  TrainingOptions o = options(2);
  const auto refused = [&](Index ranks) {
    try {
      train_on(ranks, NoSharding{}, o);
    } catch (const Error& error) {
      CHECK(error.id() == ErrorId::option_out_of_range);
      return std::string(error.what());
    }
    return std::string();
  };
  o.batch = 10;
  CHECK(refused(3).find("a multiple of the 3 ranks") != std::string::npos);
  o.micro_batch = 2;
  CHECK(refused(2).find("a divisor of 5, a rank's part of batch") != std::string::npos);
  o.micro_batch = 5;
  CHECK(refused(2).empty());
}
