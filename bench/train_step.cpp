// SPDX-License-Identifier: MIT
// One training step of a Llama on random tokens: tokens a second, peak memory, share of the machine's FMA peak.
// bench/peers/torch_step.py is the same step in PyTorch; bench/compare_torch.sh runs both.
#include <binllm/core/process_memory.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/train/forecast.hpp>

#include <algorithm>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

using Recipe =
    bl::Recipe<bl::ProgressiveSign<float>, bl::DualScale<float>, bl::ChannelScale<float>, bl::ExponentialSchedule>;

/// What is trained, and on how many tokens a step.
struct Setting {
  bl::LlamaConfig model;
  Index batch, context;
  [[nodiscard]] Index tokens() const { return batch * context; }
};

bl::LlamaConfig llama(Index dim, Index layers, Index heads, Index kv_heads, Index hidden, Index vocabulary,
                      Index context) {
  bl::LlamaConfig config;
  config.hidden_size = dim;
  config.num_hidden_layers = layers;
  config.num_attention_heads = heads;
  config.num_key_value_heads = kv_heads;
  config.head_dim = dim / heads;
  config.intermediate_size = hidden;
  config.vocab_size = vocabulary;
  config.max_position_embeddings = context;
  return config;
}

Setting setting_named(const std::string& name, const bl::bench::Arguments& arguments) {
  if (name == "1M") return {llama(128, 4, 4, 4, 352, 2048, 256), 8, 256};
  if (name == "4M") return {llama(256, 4, 8, 8, 704, 4096, 256), 8, 256};
  if (name == "A") return {llama(288, 6, 6, 6, 768, 32000, 256), 8, 256};  // of the size of stories15M
  if (name == "40M") return {llama(512, 10, 8, 8, 1408, 16000, 256), 4, 256};
  if (name == "B") return {llama(576, 30, 9, 3, 1536, 49152, 512), 1, 512};  // of the size of SmolLM-135M
  arguments.refuse("--config " + name);
}

/// Multiplications and additions of one step: 6 per weight that multiplies a token, and the causal half of attention.
double operations(const Setting& s, Index parameters) {
  const auto& m = s.model;
  const Index products = 6 * s.tokens() * parameters;
  const Index attention =
      6 * m.num_hidden_layers * s.batch * s.context * s.context * m.num_attention_heads * m.head_dim;
  return static_cast<double>(products + attention);
}

/// What the step will have resident at its peak, on top of what this program has now.
std::size_t predicted_bytes(const std::string& mode, const Setting& setting, bool recompute) {
  bl::TrainingOptions options;
  options.batch = setting.batch;
  options.context = setting.context;
  options.recompute = recompute;
  const auto forecast = mode == "qat" ? bl::forecast_training_memory(setting.model, bl::Binary<Recipe>{}, options)
                                      : bl::forecast_training_memory(setting.model, bl::Dense{}, options);
  return forecast.total() + bl::resident_bytes();
}

struct Report {
  double step_seconds = 0, first_loss = 0, last_loss = 0;
  Index parameters = 0;
};

template <class Model>
Report measure(Model& model, const Setting& setting, int steps, bool recompute) {
  const bl::AdamWOptions adamw{.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01};
  bl::TrainingStep<Model> training(model, setting.batch, 0, setting.context, adamw, recompute);
  const bl::Random random(1, bl::Purpose::test);
  const auto fill = [&](bl::View<std::int32_t> ids, bl::View<std::int32_t> targets) {
    const auto token = [&](Index i) {
      return static_cast<std::int32_t>(
          random.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(setting.model.vocab_size)));
    };
    for (Index i = 0; i < ids.size(); ++i) {
      ids.data[i] = token(i);
      targets.data[i] = token(i % setting.context == setting.context - 1 ? i + 1 - setting.context : i + 1);
    }
  };
  Report report;
  std::vector<double> seconds;
  for (int step = 0; step <= steps; ++step) {  // the first step sizes the memory and is not timed
    const double start = bl::bench::now();
    const auto result = training.run(fill, step, 1e-3, 2.0, 0);
    if (step > 0) seconds.push_back(bl::bench::now() - start);
    if (step == 0) report.first_loss = result.loss;
    report.last_loss = result.loss;
  }
  report.step_seconds = bl::bench::median(seconds);
  report.parameters = bl::parameter_count(model);
  return report;
}

Report measure_mode(const std::string& mode, const Setting& setting, int steps, bool recompute) {
  const auto dense = [&] {
    bl::Llama<float> model(setting.model);
    bl::initialise(model, 1);
    return model;
  };
  if (mode == "fp") {
    auto model = dense();
    return measure(model, setting, steps, recompute);
  }
  auto binary = bl::binarize<Recipe>(dense());
  return measure(binary, setting, steps, recompute);
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words,
                                 "bench_train_step [--config 1M|4M|A|40M|B] [--mode fp|qat] [--threads N] [--steps K] "
                                 "[--recompute] [--json] [--dry-run]");
  const std::string name = arguments.text("--config", "A"), mode = arguments.text("--mode", "fp");
  const int threads = arguments.number("--threads", 2), steps = arguments.number("--steps", 5);
  const bool recompute = arguments.flag("--recompute"), json = arguments.flag("--json");
  const bool dry_run = arguments.flag("--dry-run");
  if (mode != "fp" && mode != "qat") arguments.refuse("--mode " + mode);
  arguments.end();

  const Setting setting = setting_named(name, arguments);
  bl::set_thread_count(threads);
  const std::size_t predicted = predicted_bytes(mode, setting, recompute);
  if (dry_run) {
    fmt::print("{{\"config\": \"{}\", \"mode\": \"{}\", \"recompute\": {}, \"predicted_bytes\": {}}}\n", name, mode,
               recompute, predicted);
    return 0;
  }
  const double peak_before = bl::bench::fma_peak(threads);
  const Report report = measure_mode(mode, setting, steps, recompute);
  const double peak = std::max(peak_before, bl::bench::fma_peak(threads)),
               rate = operations(setting, report.parameters) / report.step_seconds;
  const double tokens = static_cast<double>(setting.tokens()) / report.step_seconds;
  const auto print = [&](fmt::string_view format) {
    fmt::print(fmt::runtime(format), fmt::arg("config", name), fmt::arg("mode", mode), fmt::arg("threads", threads),
               fmt::arg("recompute", recompute), fmt::arg("parameters", report.parameters), fmt::arg("tokens", tokens),
               fmt::arg("growth", tokens * static_cast<double>(report.parameters)),
               fmt::arg("ms", 1e3 * report.step_seconds), fmt::arg("rss", bl::bench::peak_rss_bytes()),
               fmt::arg("predicted", predicted), fmt::arg("share", rate / peak), fmt::arg("gflops", peak / 1e9),
               fmt::arg("first", report.first_loss), fmt::arg("last", report.last_loss));
  };
  print(json ? "{{\"config\": \"{config}\", \"mode\": \"{mode}\", \"threads\": {threads}, \"recompute\": {recompute}, "
               "\"parameters\": "
               "{parameters}, \"tokens_per_second\": {tokens:.1f}, "
               "\"parameters_times_tokens_per_second\": {growth:.4e}, \"step_ms\": {ms:.1f}, \"peak_rss_bytes\": "
               "{rss}, \"predicted_bytes\": {predicted}, "
               "\"fma_peak_share\": {share:.3f}, "
               "\"fma_peak_gflops\": {gflops:.1f}, "
               "\"first_loss\": {first:.5f}, \"last_loss\": {last:.5f}}}\n"
             : "{config} {mode}, {threads} threads: {tokens:.0f} tokens/s, {ms:.0f} ms a step, {rss} bytes "
               "({predicted} predicted), {share:.2f} of the FMA peak of {gflops:.0f} GFLOP/s, "
               "loss {first:.4f} -> {last:.4f}, parameters x tokens/s {growth:.3e}\n");
}
