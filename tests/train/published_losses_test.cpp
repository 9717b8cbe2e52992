// SPDX-License-Identifier: MIT
/// Losses as their methods publish them, against PyTorch (tests/golden/methods/losses.py), in double.
#include "support/errors.hpp"
#include "support/golden_values.hpp"
#include "support/small_llama.hpp"

#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/train/chosen_loss.hpp>
#include <binllm/train/step.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr LossSettings fbi_llm{.distillation = 1};
constexpr LossSettings onebit{.distillation = 1, .distillation_weight = 0.01, .per_sequence = true, .hidden_states = 1};
constexpr LossSettings binarymos{
    .distillation = 1, .per_sequence = true, .hidden_states = 10, .hidden_distance = hidden_squares};
constexpr LossSettings db_llm{.distillation = 1, .ambiguity = 1};
constexpr LossSettings hinton{.distillation = 0.5, .temperature = 2};
constexpr LossSettings cached{.distillation = 0.75};

Llama<double> golden_llama(const std::string& owner) {
  Llama<double> model(small_config());
  for_each_parameter(model, [&](const std::string& name, auto& parameter) {
    const auto values = golden_values(owner + name, parameter.value.shape);
    std::copy(values.begin(), values.end(), parameter.value.data);
  });
  return model;
}

constexpr Index sequences = 2, window = 9;

struct Data {
  Tensor<std::int32_t> ids{Shape{sequences, window}}, targets{Shape{sequences, window}};
  Data() {
    for (Index i = 0; i < ids.size(); ++i) {
      const auto token = [](Index n) { return static_cast<std::int32_t>((7 * n * n + 3 * n + 1) % 37); };
      const Index first = i + i / window;  // a sequence has a token more than the context
      ids.view().data[i] = token(first);
      targets.view().data[i] = token(first + 1);
    }
  }
  [[nodiscard]] Batch<Cpu> batch() const { return {ids.view(), targets.view()}; }
};

/// The golden predictions, of one window for each sequence.
struct GoldenCache final : TeacherCache {
  std::vector<double> words, log_probabilities, rest;
  explicit GoldenCache(std::map<std::string, std::vector<double>>& golden)
      : words(golden["top.words"]), log_probabilities(golden["top.log_probabilities"]), rest(golden["top.rest"]) {}
  [[nodiscard]] Index top() const override { return 5; }
  [[nodiscard]] Index context() const override { return window; }
  [[nodiscard]] double temperature() const override { return 1; }
  void read(Index first, View<std::int32_t> w, View<float> p, View<float> r) const override {
    for (Index i = 0; i < w.size(); ++i) {
      w.data[i] = static_cast<std::int32_t>(words.at(static_cast<std::size_t>(first * top() + i)));
      p.data[i] = static_cast<float>(log_probabilities.at(static_cast<std::size_t>(first * top() + i)));
    }
    for (Index i = 0; i < r.size(); ++i) r.data[i] = static_cast<float>(rest.at(static_cast<std::size_t>(first + i)));
  }
};

void check_close(double found, double wanted) { CHECK(found == doctest::Approx(wanted).epsilon(1e-6)); }

}  // namespace

TEST_CASE("published losses: value, gradient and ten steps are those of PyTorch") {
  auto golden = golden_lines("methods/losses.txt");
  auto teacher_model = golden_llama("teacher.");
  const auto teacher = make_teacher(teacher_model);
  const auto cache = std::make_shared<GoldenCache>(golden);
  const std::array cases{std::pair("fbi_llm", fbi_llm), std::pair("onebit", onebit), std::pair("binarymos", binarymos),
                         std::pair("db_llm", db_llm),   std::pair("hinton", hinton), std::pair("cached", cached)};
  const Data data;
  for (const auto& [name, settings] : cases) {
    const std::string key = name;
    CAPTURE(key);
    auto student = golden_llama("");
    const bool from_cache = key == "cached";
    const ChosenLoss<double, Cpu> objective{settings, from_cache ? nullptr : teacher, from_cache ? cache : nullptr};
    TrainingStep<Llama<double>, ChosenLoss<double, Cpu>> training(student, sequences, 0, window, {}, false, objective);
    const auto fill = [&](const HostBatch& batch) {
      std::copy_n(data.ids.view().data, batch.ids.size(), batch.ids.data);
      std::copy_n(data.targets.view().data, batch.targets.size(), batch.targets.data);
      for (Index row = 0; row < sequences; ++row) training.first_token()[static_cast<std::size_t>(row)] = row * window;
    };
    for (Index step = 0; step < 10; ++step) {
      check_close(training.run(fill, step, 1e-2, 0, 0).loss,
                  golden.at(key + ".loss").at(static_cast<std::size_t>(step)));
      if (step > 0) continue;
      for_each_parameter(student, [&](const std::string& parameter_name, const auto& parameter) {
        CAPTURE(parameter_name);
        const auto& wanted = golden.at(key + ".gradient." + parameter_name);
        for (std::size_t i = 0; i < wanted.size(); ++i) check_close(parameter.gradient.data[i], wanted[i]);
      });
    }
    std::size_t at = 0;
    for_each_parameter(student, [&](const std::string& parameter_name, const auto& parameter) {
      CAPTURE(parameter_name);
      check_close(parameter.value.flat().square().sum(), golden.at(key + ".weight").at(at++));
    });
  }
}

TEST_CASE("published losses: gradients are those of finite differences") {
  auto golden = golden_lines("methods/losses.txt");
  auto teacher_model = golden_llama("teacher.");
  const auto cache = std::make_shared<GoldenCache>(golden);
  const Data data;
  BatchMemory<Cpu> memory(sequences, window, CachedDistillation{cache}.token_data());
  const HostBatch host = memory.host();
  std::copy_n(data.ids.view().data, host.ids.size(), host.ids.data);
  std::copy_n(data.targets.view().data, host.targets.size(), host.targets.data);
  memory.first_token()[1] = window;
  CachedDistillation{cache}.fill(host);
  memory.copy_to_device();
  const Batch<Cpu> batch = memory.rows(0, sequences);
  for (const auto& [settings, from_cache] :
       {std::pair(onebit, false), std::pair(binarymos, false), std::pair(cached, true), std::pair(hinton, false)}) {
    auto student = golden_llama("");
    const ChosenLoss<double, Cpu> objective{settings, make_teacher(teacher_model), from_cache ? cache : nullptr};
    const StepScalars<Cpu> scalars;
    const auto loss = [&] {
      Tape tape;
      const NoGrad pause(tape);
      Pass<double, Cpu> pass{tape, scalars};
      return *objective.loss(pass, student, batch).value().data;
    };
    Tape tape;
    Pass<double, Cpu> pass{tape, scalars};
    student.block.zero_gradients();
    tape.backward(objective.loss(pass, student, batch));
    for_each_parameter(student, [&](const std::string& name, auto& parameter) {
      CAPTURE(name);
      CHECK(gradient_error(loss, parameter.value, read(parameter.gradient), 3).relative < 1e-5);
    });
  }
}

TEST_CASE("chosen loss: without a teacher's share it is the next-token loss, to the bit") {
  auto student = small_llama<float>();
  const Data data;
  Tape tape;
  const StepScalars<Cpu> scalars;
  Pass<float, Cpu> pass{tape, scalars};
  const auto a = ChosenLoss<float, Cpu>{}.loss(pass, student, data.batch());
  const auto b = NextToken{}.loss(pass, student, data.batch());
  CHECK(*a.value().data == *b.value().data);
}

TEST_CASE("chosen loss: what cannot be learnt from is refused") {
  auto golden = golden_lines("methods/losses.txt");
  const GoldenCache cache(golden);
  const ModelConfig student = small_config();
  const auto id = [&](const LossSettings& settings, const ModelConfig* teacher, const TeacherCache* from,
                      Index tokens = window) {
    return id_of([&] { check_loss(settings, student, teacher, from, tokens); });
  };
  const auto other = [&](auto change) {
    ModelConfig config = student;
    change(config);
    return config;
  };
  const ModelConfig words = other([](auto&c) { c.vocab_size = 38; }),
                    deep = other([](auto&c) { c.num_hidden_layers = 3; }),
                    wide = other([](auto&c) { c.hidden_size = 48; }),
                    brief = other([](auto&c) { c.max_position_embeddings = 8; });
  CHECK(id(hinton, nullptr, nullptr) == ErrorId::option_out_of_range);
  CHECK(id(onebit, nullptr, &cache) == ErrorId::option_out_of_range);
  CHECK(id({.distillation = 1.5}, &student, nullptr) == ErrorId::option_out_of_range);
  CHECK(id({.distillation = 1, .hidden_distance = "angles"}, &student, nullptr) == ErrorId::option_out_of_range);
  CHECK(id(hinton, &words, nullptr) == ErrorId::config_inconsistent);
  CHECK(id(hinton, &brief, nullptr) == ErrorId::config_inconsistent);
  CHECK(id(onebit, &deep, nullptr) == ErrorId::config_inconsistent);
  CHECK(id(onebit, &wide, nullptr) == ErrorId::config_inconsistent);
  CHECK(id(cached, nullptr, &cache, 8) == ErrorId::config_inconsistent);
  CHECK(id({.distillation = 1, .temperature = 2}, nullptr, &cache) == ErrorId::config_inconsistent);
  check_loss(hinton, student, &deep, nullptr, window);  // a teacher may be deeper and wider
  check_loss(hinton, student, &wide, nullptr, window);
  check_loss(cached, student, nullptr, &cache, window);
  check_loss({}, student, nullptr, nullptr, window);
}
