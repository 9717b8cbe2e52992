// SPDX-License-Identifier: MIT
#include "support/memory_log.hpp"
#include "support/small_llama.hpp"

#include <binllm/policy/runtime.hpp>
#include <binllm/tokenizer/byte.hpp>
#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/pretrain.hpp>
#include <binllm/train/progressive.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {

TokenStream corpus() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 4000; ++i) ids.push_back(i * i % 37);  // periodic: learnable
  return TokenStream::from_tokens(std::move(ids));
}

ProgressiveOptions short_run(Index steps, Index chunks = 4) {
  auto options = ProgressiveOptions::small_model();
  options.training.batch = 4;
  options.training.context = 12;
  options.training.tokens = steps * options.training.batch * options.training.context;
  options.chunks = chunks;
  options.training.warmup = 2;
  options.training.report_every = 3;
  options.training.learning_rate = 5e-3;
  return options;
}

template <class Model>
bool same_bits(const Model& a, const Model& b) {
  const auto bytes = static_cast<std::size_t>(a.block.values.size()) * sizeof(*a.block.values.view().data);
  return std::memcmp(a.block.values.view().data, b.block.values.view().data, bytes) == 0;
}

}  // namespace

TEST_CASE("pre-training learns, and reports what it says") {
  auto model = small_llama<float>();
  MemoryLog log;
  const auto stream = corpus();
  auto options = short_run(60);
  options.training.evaluate_every = 30;
  const double loss = pretrain(model, stream, options.training, &stream, &log);
  CHECK(loss < 0.5 * log.reports.front().second["loss"]);
  CHECK(log.reports.back().second["loss"] == loss);
  CHECK(log.reports.back().second.contains("validation_loss"));
  CHECK(log.reports.back().second["step"] == 60);
  for (const char* name : {"loss", "gradient_norm", "t", "learning_rate", "tokens_per_second"})
    CHECK(log.reports[1].second.contains(name));
}

TEST_CASE("one thread and two compute the same bits") {
  const auto train_with = [&](int threads) {
    set_thread_count(threads);
    auto config = small_config();
    config.hidden_size = 48;
    config.intermediate_size = 136;
    config.head_dim = 12;
    auto binary = binarize<PaperRecipe<float>>(small_llama<float>(config));
    auto options = short_run(8);
    options.training.context = 31;
    train_progressively(binary, corpus(), options);
    set_thread_count(1);
    return binary;
  };
  CHECK(same_bits(train_with(1), train_with(2)));
}

TEST_CASE("a run stopped after any step and resumed ends with the same bits and the same reports") {
  const auto stream = corpus();
  const auto start = [] { return binarize<PaperRecipe<float>>(small_llama<float>()); };
  const auto check = [&](const ProgressiveOptions& options, std::initializer_list<Index> stops) {
    auto whole = start();
    MemoryLog whole_log;
    train_progressively(whole, stream, options, &stream, &whole_log);
    for (const Index stop : stops) {
      CAPTURE(stop);
      MemoryLog log;
      log.stop_after = stop;
      auto killed = start();
      try {
        train_progressively(killed, stream, options, &stream, &log);
      } catch (const MemoryLog::Stop&) {
      }
      log.stop_after = -1;
      auto resumed = start();
      train_progressively(resumed, stream, options, &stream, &log);
      CHECK(same_bits(resumed, whole));
      REQUIRE(log.reports.size() == whole_log.reports.size());
      for (std::size_t i = 0; i < log.reports.size(); ++i) {
        auto found = log.reports[i].second, wanted = whole_log.reports[i].second;
        found.erase("tokens_per_second");
        wanted.erase("tokens_per_second");
        CHECK(found == wanted);
      }
    }
  };
  check(short_run(12), {0, 1, 3, 7, 11, 12});
  auto muon = short_run(8);
  muon.training.optimiser = OptimiserChoice::muon;
  muon.training.adamw.decay_to = DecayTarget::signs;
  check(muon, {1, 5});
}

TEST_CASE("the optimiser that options choose is the one that trains, and each learns") {
  const auto stream = corpus();
  const auto loss_with = [&](OptimiserChoice choice, DecayTarget target) {
    auto model = small_llama<float>();
    auto options = short_run(40).training;
    options.optimiser = choice;
    options.adamw.decay_to = target;
    MemoryLog log;
    const double last = pretrain(model, stream, options, nullptr, &log);
    CHECK(last < 0.75 * log.reports.front().second["loss"]);
    return last;
  };
  const double adamw = loss_with(OptimiserChoice::adamw, DecayTarget::zero);
  const double muon = loss_with(OptimiserChoice::muon, DecayTarget::zero);
  CHECK(muon != adamw);
  CHECK(loss_with(OptimiserChoice::adamw, DecayTarget::signs) != adamw);
}

TEST_CASE("accumulated micro-batches give the gradient of the whole batch") {
  const auto train_with = [&](Index micro) {
    auto model = small_llama<double>();
    auto options = short_run(3);
    options.training.micro_batch = micro;
    pretrain(model, corpus(), options.training);
    return model;
  };
  const auto whole = train_with(0), parts = train_with(1);
  CHECK((whole.block.values.view().flat() - parts.block.values.view().flat()).abs().maxCoeff() < 1e-9);
}

TEST_CASE("recomputed layers train to the same bits") {
  const auto train_with = [&](bool recompute) {
    auto binary = binarize<PaperRecipe<float>>(small_llama<float>());
    ChannelScaleOptions search;
    search.steps = 2;
    search.batch = 4;
    search.context = 12;
    search.recompute = recompute;
    search_channel_scale(binary, corpus(), search);
    auto options = short_run(4);
    options.training.recompute = recompute;
    train_progressively(binary, corpus(), options);
    return binary;
  };
  CHECK(same_bits(train_with(true), train_with(false)));
}

TEST_CASE("chunks train at the schedule's t, and the monitor sees the weights harden") {
  auto binary = binarize<PaperRecipe<float>>(small_llama<float>());
  MemoryLog log;
  const auto stream = corpus();
  train_progressively(binary, stream, short_run(20, 20), &stream, &log);
  std::vector<double> t, saturated;
  for (auto& [phase, values] : log.reports) {
    CHECK(phase == "progressive");
    if (!values.contains("sign_flips")) continue;
    t.push_back(values["t"]);
    saturated.push_back(values["saturated"]);
    CHECK(values["chunk"] == static_cast<double>(t.size()));
    CHECK(values["scale_drift"] >= 0);
  }
  REQUIRE(t.size() == 20);
  for (std::size_t c = 0; c < 20; ++c)
    CHECK(t[c] == doctest::Approx(1.3 * std::exp(0.22 * static_cast<double>(c + 1)) - 1.3));
  CHECK(saturated.back() > 0.95);
  CHECK(log.reports.back().second.contains("validation_loss_f"));
  CHECK(log.reports.back().second.contains("validation_loss_sign"));
}

TEST_CASE("a log that looks at a layer sees its values, and nothing that it did not ask for") {
  struct LookingLog : MemoryLog {
    const std::string layer = "model.layers.1.mlp.down_proj.";
    std::vector<std::string> seen;
    std::vector<float> weight;
    std::string wants_look(Index step, Index steps) override { return step == steps ? layer : std::string(); }
    void look(std::string_view phase, const TrainingState& state) override {
      CHECK(phase == "progressive");
      for (const auto& block : state.blocks) {
        seen.push_back(block.name);
        const auto* const values = static_cast<const float*>(block.data);
        if (block.name == "values/" + layer + "weight") weight.assign(values, values + block.bytes / sizeof(float));
      }
    }
  };
  auto binary = binarize<PaperRecipe<float>>(small_llama<float>());
  LookingLog log;
  train_progressively(binary, corpus(), short_run(4), nullptr, &log);
  CHECK(log.seen == std::vector<std::string>{"values/" + log.layer + "weight", "values/" + log.layer + "scale"});
  for_each_parameter(binary, [&](const std::string& name, const auto& parameter) {
    if (name == log.layer + "weight") CHECK(std::ranges::equal(log.weight, parameter.value.flat()));
  });
  CHECK(!log.weight.empty());
}

TEST_CASE("stage 1 lowers the loss of the naive signs and touches neither signs nor embeddings") {
  auto dense = small_llama<float>();
  pretrain(dense, corpus(), short_run(120).training);
  auto binary = binarize<PaperRecipe<float>>(dense);
  const auto stream = corpus();
  const double naive = evaluate_perplexity(binary, stream, {.context = 12}).nll;
  ChannelScaleOptions options;
  options.batch = 4;
  options.context = 12;
  options.learning_rate = 3e-2;
  search_channel_scale(binary, stream, options);
  CHECK(evaluate_perplexity(binary, stream, {.context = 12}).nll < naive);
  CHECK((binary.embed_tokens.value.flat() == dense.embed_tokens.value.flat()).all());
  for_each_linear(
      [](const auto& before, const auto& after) {
        CHECK(((before.weight.value.flat() >= 0) == (after.weight.value.flat() >= 0)).all());
      },
      dense, binary);
}

TEST_CASE("stage 1 refuses scales by name that are not one a row") {
  Binary<PaperRecipe<float, ChannelSharing::shared, RuntimeScale<float>>> format;
  format.scale = RuntimeScale<float>::named("dual", "tensor");
  auto binary = binarize(small_llama<float>(), format);
  try {
    search_channel_scale(binary, corpus(), {});
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::config_inconsistent);
  }
}

TEST_CASE("an update that overflows is no checkpoint and no result, though loss and gradients were finite") {
  auto options = short_run(1).training;
  options.warmup = 0;
  options.learning_rate = options.last_learning_rate = 1e30;
  options.adamw.weight_decay = 1e30;
  auto model = small_llama<float>();
  MemoryLog log;
  try {
    pretrain(model, corpus(), options, nullptr, &log);
    FAIL("not stopped");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::training_diverged);
    CHECK(error.wanted() == "finite values after the update");
    CHECK(error.found().find("model.") != std::string::npos);
  }
  CHECK(log.counters.at("pretrain").front() == 0);  // the state before the first step
  CHECK(log.reports.empty());
}

TEST_CASE("stage 1 goes on from its state, with the bits of a search that was never stopped") {
  const auto stream = corpus();
  const ChannelScaleOptions options{.steps = 6, .batch = 4, .context = 12};
  const auto searched = [&](MemoryLog& log) {
    auto binary = binarize<PaperRecipe<float>>(small_llama<float>());
    search_channel_scale(binary, stream, options, &log);
    return binary;
  };
  MemoryLog whole, stopped;
  stopped.stop_after = 3;
  const auto wanted = searched(whole);
  CHECK_THROWS_AS(searched(stopped), MemoryLog::Stop);
  stopped.stop_after = -1;
  CHECK(same_bits(searched(stopped), wanted));
}

TEST_CASE("the first value that is not finite stops the run, names its tensor, and leaves the other weights alone") {
  auto model = small_llama<float>();
  model.layers[1].mlp.up_proj.weight.value.data[3] = std::numeric_limits<float>::quiet_NaN();
  const float before = model.embed_tokens.value.data[0];
  try {
    pretrain(model, corpus(), short_run(3).training);
    FAIL("not stopped");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::training_diverged);
    CHECK(error.found().find("model.layers.1.mlp.up_proj.weight") != std::string::npos);
    CHECK(error.argument() == "step 0");
  }
  CHECK(model.embed_tokens.value.data[0] == before);
}

TEST_CASE("what would fail at the end is refused at the start") {
  auto model = small_llama<float>();
  const auto untouched = small_llama<float>();
  const auto short_text = TokenStream::from_tokens({1, 2, 3});
  try {
    pretrain(model, corpus(), short_run(4).training, &short_text);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::text_too_short);
  }
  CHECK(same_bits(model, untouched));
  auto binary = binarize<PaperRecipe<float>>(model);
  try {
    search_channel_scale(binary, corpus(), {.steps = 0});
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.argument() == "steps");
  }
}

TEST_CASE("resuming a run that is finished returns its loss") {
  MemoryLog log;
  auto model = small_llama<float>();
  const double loss = pretrain(model, corpus(), short_run(4).training, nullptr, &log);
  auto again = small_llama<float>();
  CHECK(pretrain(again, corpus(), short_run(4).training, nullptr, &log) == loss);
  CHECK(same_bits(model, again));
}

TEST_CASE("options out of range are refused by name") {
  auto model = small_llama<float>();
  const auto refused = [&](auto change, const char* argument) {
    auto options = short_run(4).training;
    change(options);
    try {
      pretrain(model, corpus(), options);
      FAIL("not refused");
    } catch (const Error& error) {
      CHECK(error.id() == ErrorId::option_out_of_range);
      CHECK(error.argument().find(argument) != std::string::npos);
    }
  };
  refused([](TrainingOptions& o) { o.batch = 0; }, "batch");
  refused([](TrainingOptions& o) { o.micro_batch = 3; }, "micro_batch");
  refused([](TrainingOptions& o) { o.learning_rate = -1; }, "learning_rate");
  refused([](TrainingOptions& o) { o.report_every = 0; }, "report_every");
  auto binary = binarize<PaperRecipe<float>>(model);
  CHECK_THROWS_AS(train_progressively(binary, corpus(), short_run(3, 4)), Error);  // more chunks than steps
}
