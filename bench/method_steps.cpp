// SPDX-License-Identifier: MIT
// A training step of each method beside one of the vanilla method, in the same minute: which costs what. Four layers of
// the width of SmolLM-135M, a small vocabulary, random tokens; the least time of some turns in alternation. On the CPU
// it is the processor's time, of all threads, so that other programs matter little.
#include <binllm/methods/table.hpp>
#include <binllm/models/erased.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/train/step.hpp>

#include <algorithm>
#include <ctime>
#include <exception>
#include <limits>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

struct Setting {
  Index batch, context, layers;
  int turns;
};

bl::ModelConfig shape_of(const Setting& setting) {
  bl::ModelConfig config;
  config.vocab_size = 1024;
  config.hidden_size = 576;
  config.intermediate_size = 1536;
  config.num_hidden_layers = setting.layers;
  config.num_attention_heads = 9;
  config.num_key_value_heads = 3;
  config.head_dim = 64;
  config.max_position_embeddings = setting.context;
  return config;
}

/// A model of a method, and its step.
template <class T, class Device>
struct Trained {
  using Model = bl::ErasedModel<bl::LlamaArchitecture, T, Device>;
  Model model;
  bl::TrainingStep<Model> step;
  Index done = 0;

  Trained(const Setting& setting, const bl::MethodEntry& method)
      : model(start(setting, method)), step(model, setting.batch, 0, setting.context) {}
  /// Seconds of one step. Its result is read on the host, so a GPU has finished.
  double run(const Setting& setting) {
    const auto fill = [&](bl::View<std::int32_t> ids, bl::View<std::int32_t> targets) {
      const bl::Random random(1, bl::Purpose::test, static_cast<std::uint64_t>(done));
      for (Index i = 0; i < ids.size(); ++i)
        ids.data[i] = targets.data[i] = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(i), 1024));
    };
    const double t = bl::sharpness_at(model.format, {.step = done, .steps = 2 * setting.turns + 8});
    const double begin = seconds();
    step.run(fill, done++, 1e-5, t, 1);
    return seconds() - begin;
  }

 private:
  [[nodiscard]] static double seconds() {
    if constexpr (bl::host_accessible<Device>) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    return bl::bench::now();
  }
  static Model start(const Setting& setting, const bl::MethodEntry& method) {
    Model dense(shape_of(setting), bl::format_named<T, Device>(bl::FullPrecisionFormat::name, {}));
    bl::initialise(dense, 1);
    return bl::quantised(dense, bl::format_named<T, Device>(method.format, method.words));
  }
};

template <class T, class Device>
void measure(const Setting& setting, const std::string& only) {
  const bl::MethodEntry vanilla = bl::method_named(bl::Vanilla::name);
  fmt::print("| method | ms a step | vanilla, ms | over vanilla |\n| --- | ---: | ---: | ---: |\n");
  for (const bl::MethodEntry& method : bl::method_table()) {
    if (!only.empty() && only != method.name) continue;
    Trained<T, Device> ours(setting, method), plain(setting, vanilla);
    double least = std::numeric_limits<double>::infinity(), least_plain = least;
    for (int turn = -2; turn < setting.turns; ++turn) {
      const double a = ours.run(setting), b = plain.run(setting);
      if (turn >= 0) least = std::min(least, a), least_plain = std::min(least_plain, b);
    }
    fmt::print("| {} | {:.2f} | {:.2f} | {:+.1f} % |\n", method.name, 1e3 * least, 1e3 * least_plain,
               100 * (least / least_plain - 1));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words,
                                 "bench_method_steps [--device cpu|cuda] [--method NAME] [--batch N] [--context N] "
                                 "[--layers N] [--turns N] [--threads N]");
  const std::string device = arguments.text("--device", "cpu"), only = arguments.text("--method", "");
  const Setting setting{arguments.number("--batch", 8), arguments.number("--context", 256),
                        arguments.number("--layers", 4), arguments.number("--turns", 7)};
  bl::set_thread_count(arguments.number("--threads", 2));
  if (device != "cpu" && device != "cuda") arguments.refuse("--device " + device);
  arguments.end();
  try {
    if (device == "cpu") return measure<float, bl::Cpu>(setting, only), 0;
#if defined(BINLLM_WITH_CUDA)
    fmt::print("{}\n\n", bl::cuda::device_name());
    return measure<bl::bf16, bl::Cuda>(setting, only), 0;
#else
    throw bl::Error(bl::ErrorId::device_missing, "bench_method_steps", "--device", "a program built with binllm::cuda",
                    "one built without");
#endif
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
