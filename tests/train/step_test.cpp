// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/memory_log.hpp"
#include "support/small_llama.hpp"

#include <binllm/optim/sgd.hpp>
#include <binllm/train/pretrain.hpp>
#include <binllm/train/weighted_sum.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

TokenStream corpus() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 4000; ++i) ids.push_back(i * i % 37);
  return TokenStream::from_tokens(std::move(ids));
}
TrainingOptions short_run(Index steps) {
  return {.tokens = steps * 48, .batch = 4, .context = 12, .learning_rate = 5e-3, .last_learning_rate = 1e-3};
}

template <class Model>
bool same_values(const Model& a, const Model& b) {
  return same_bits(a.block.values.view(), b.block.values.view());
}

/// Adds the numbers of two ranks that happen to be the same.
struct Twins : Alone {
  Index* units;
  explicit Twins(Index* count) : units(count) {}
  [[nodiscard]] static Index size() { return 2; }
  template <class T>
  Work sum(View<T> view) const {
    ++*units;
    view.flat() *= T(2);
    return 0;
  }
  [[nodiscard]] static double sum(double number) { return 2 * number; }
  [[nodiscard]] static std::vector<std::string> gather(std::string_view bytes) {
    return {std::string(bytes), std::string(bytes)};
  }
};
static_assert(Communicator<Twins>);

/// What the objective wrote for a token comes with it, in whatever micro-batch it is.
struct Checked {
  [[nodiscard]] std::vector<TokenDataShape> token_data() const { return {{"position", 2, 1}, {"nothing"}}; }
  void fill(const HostBatch& batch) const {
    const Index context = batch.ids.shape[1];
    REQUIRE(batch.data.size() == 2);
    for (Index i = 0; i < batch.ids.size(); ++i) {
      const Index at = batch.first_token[static_cast<std::size_t>(i / context)] + i % context;
      batch.data[0].numbers.data[2 * i] = static_cast<float>(at);
      batch.data[0].numbers.data[2 * i + 1] = static_cast<float>(batch.targets.data[i]);
      batch.data[0].ids.data[i] = batch.ids.data[i];
    }
  }
  template <class T, class Device, class Model>
  [[nodiscard]] Variable<T, Device> loss(Pass<T, Device>& pass, Model& model, const Batch<Device>& batch) const {
    const auto& data = batch["position"];
    CHECK(data.numbers.shape == Shape{2, 12, 2});
    for (Index i = 0; i < batch.ids.size(); ++i) {
      const auto at = static_cast<Index>(data.numbers.data[2 * i]);
      CHECK(at * at % 37 == batch.ids.data[i]);
      CHECK(data.ids.data[i] == batch.ids.data[i]);
      CHECK(static_cast<std::int32_t>(data.numbers.data[2 * i + 1]) == batch.targets.data[i]);
    }
    CHECK(id_of([&] { static_cast<void>(batch["absent"]); }) == ErrorId::unknown_name);
    return NextToken{}.loss(pass, model, batch);
  }
};

/// Clips its weights after each update, and counts in a buffer that is kept with it.
struct Clipped : Llama<float> {
  Tensor<float> updates{Shape{1}};
  using Llama<float>::Llama;
  void after_update(Index step, double) {
    CHECK(static_cast<Index>(updates.view().data[0]) == step);
    updates.view().data[0] += 1;
    for_each_parameter(static_cast<Llama<float>&>(*this), [](const std::string&, Parameter<float>& parameter) {
      parameter.value.flat() = parameter.value.flat().max(-1.0f).min(1.0f);
    });
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    Llama<float>::visit(v, self...);
    v("updates", self.updates...);
  }
};

}  // namespace

TEST_CASE("a student trains towards its teacher, in micro-batches or not") {
  auto teacher_model = small_llama<double>();
  pretrain(teacher_model, corpus(), short_run(60));
  const auto teacher = make_teacher(teacher_model);
  const auto objective =
      sum(Weighted{1.0, Distillation{teacher, 2.0, 1.0}}, Weighted{0.1, HiddenStates<double, Cpu>{teacher, {1, 2}}});
  const auto train_with = [&](Index micro) {
    auto student = small_llama<double>(small_config(), 9);
    auto options = short_run(40);
    options.micro_batch = micro;
    MemoryLog log;
    pretrain(student, corpus(), options, nullptr, &log, objective);
    CHECK(log.reports.back().second["loss"] < 0.5 * log.reports.front().second["loss"]);
    return student;
  };
  const auto whole = train_with(0), parts = train_with(2);
  CHECK((whole.block.values.view().flat() - parts.block.values.view().flat()).abs().maxCoeff() < 1e-9);
}

TEST_CASE("Sgd trains a model, and its momentum is kept") {
  const auto run = [](int stop_after) {
    MemoryLog log;
    auto model = small_llama<float>();
    Phase phase("sgd");
    const auto options = short_run(10);
    const auto train_on = [&] {
      return train(model, corpus(), options, phase, log, NextToken{}, SgdOptions{.momentum = 0.9});
    };
    log.stop_after = stop_after;
    double loss = 0;
    try {
      loss = train_on();
    } catch (const MemoryLog::Stop&) {
      log.stop_after = -1;
      model = small_llama<float>();
      loss = train_on();
    }
    CHECK(loss < log.reports.front().second["loss"]);
    return model;
  };
  CHECK(same_values(run(-1), run(4)));
  auto model = small_llama<float>();
  Phase phase("sgd");
  RunLog log;
  CHECK_THROWS_AS(train(model, corpus(), short_run(2), phase, log, NextToken{}, SgdOptions{.momentum = 2}), Error);
}

TEST_CASE("two ranks with one batch are one: gradients are summed unit by unit") {
  const auto run = [](auto communicator) {
    auto model = small_llama<float>();
    TrainingStep<Llama<float>, NextToken, AdamW<float>, decltype(communicator)> training(model, 2, 0, 12, {}, false, {},
                                                                                         communicator);
    const auto fill = [](View<std::int32_t> ids, View<std::int32_t> targets) {
      for (Index i = 0; i < ids.size(); ++i) ids.data[i] = targets.data[i] = static_cast<std::int32_t>(i % 37);
    };
    std::vector<double> losses;
    for (Index step = 0; step < 3; ++step)
      losses.push_back(training.run(fill, step, 1e-3, 0, /*clip=*/0).loss);  // shares of one rank twice are no norm
    return std::pair(std::move(model), losses);
  };
  Index units = 0;
  const auto [alone, losses] = run(Alone{});
  const auto [twins, same_losses] = run(Twins(&units));
  CHECK(same_values(alone, twins));
  CHECK(losses == same_losses);
  CHECK(units == 3 * static_cast<Index>(alone.block.units.size()));
}

TEST_CASE("more data for each token comes with it") {
  auto model = small_llama<float>();
  auto plain = small_llama<float>();
  auto options = short_run(5);
  options.micro_batch = 2;
  pretrain(model, corpus(), options, nullptr, nullptr, Checked{});
  pretrain(plain, corpus(), options);
  CHECK(same_values(model, plain));
}

TEST_CASE("a model may act after each update; its buffers are kept with it") {
  const auto start = [] {
    Clipped model(small_config());
    initialise(model, 1, 0.8);
    return model;
  };
  auto whole = start(), killed = start(), resumed = start();
  pretrain(whole, corpus(), short_run(8));
  CHECK(whole.block.values.view().flat().abs().maxCoeff() <= 1);
  CHECK(whole.updates.view().data[0] == 8);
  MemoryLog log;
  log.stop_after = 5;
  CHECK_THROWS_AS(pretrain(killed, corpus(), short_run(8), nullptr, &log), MemoryLog::Stop);
  log.stop_after = -1;
  pretrain(resumed, corpus(), short_run(8), nullptr, &log);
  CHECK(same_values(resumed, whole));
  CHECK(resumed.updates.view().data[0] == 8);
}

TEST_CASE("reports go to a function, or make a line") {
  std::vector<std::string> lines;
  OnReport log([&](std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) {
    lines.push_back(TerminalProgress::line(phase, step, steps, metrics));
  });
  auto model = small_llama<float>();
  auto options = short_run(4);
  options.report_every = 2;
  pretrain(model, corpus(), options, nullptr, &log);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].starts_with("pretrain 2/4   loss "));
  CHECK(lines[1].ends_with(" tokens/s"));
}

TEST_CASE("a step does not read what its gradients held before") {
  for (const Index micro : {0, 2}) {
    for (const bool recomputed : {false, true}) {
      auto clean = small_llama<float>(), marred = small_llama<float>();
      TrainingStep<Llama<float>> one(clean, 4, micro, 12, {}, recomputed), other(marred, 4, micro, 12, {}, recomputed);
      const auto fill = [](View<std::int32_t> ids, View<std::int32_t> targets) {
        for (Index i = 0; i < ids.size(); ++i) {
          ids.data[i] = static_cast<std::int32_t>(i * i % 37);
          targets.data[i] = static_cast<std::int32_t>((i + 1) * (i + 1) % 37);
        }
      };
      for (int step = 0; step < 2; ++step) {
        clean.block.zero_gradients();
        for_each_trained(marred, [](auto& parameter, Index) { parameter.gradient.flat() = 1e30f; });
        const auto first = one.run(fill, step, 1e-2, 2, 1), second = other.run(fill, step, 1e-2, 2, 1);
        CHECK(first.loss == second.loss);
        CHECK(first.gradient_norm == second.gradient_norm);
        CHECK((clean.block.gradients.view().flat() == marred.block.gradients.view().flat()).all());
        CHECK(same_values(clean, marred));
      }
    }
  }
}
