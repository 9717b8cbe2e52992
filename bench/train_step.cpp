// SPDX-License-Identifier: MIT
// One training step of a Llama on random tokens: tokens a second, peak memory, and on the CPU the share of the peak of
// its multiplications in that precision. bench/peers/torch_step.py is the same step in PyTorch; bench/compare_torch.sh
// runs both.
#include <binllm/core/process_memory.hpp>
#include <binllm/device/gemm/bf16/kernels.hpp>
#include <binllm/models/shapes.hpp>
#include <binllm/train/forecast.hpp>

#include <algorithm>
#include <charconv>
#include <exception>

#include "support/arguments.hpp"
#include "support/product_peak.hpp"
#include "support/step.hpp"
#if defined(BINLLM_WITH_CUDA)
#include "cuda/step.hpp"
#endif

namespace bl = binllm;
using bl::Index;

namespace {

/// A model with a name, and the batch that its step has on a CPU and on a GPU.
struct Named {
  std::string_view name;
  bl::PublishedShape model;
  Index batch, context, gpu_batch, gpu_context;
};

Named setting_named(const std::string& name, const bl::bench::Arguments& arguments) {
  const std::array settings{
      Named{"1M", {"", "llama", 2048, 128, 352, 4, 4, 4, 256, true}, 8, 256, 8, 256},
      Named{"4M", {"", "llama", 4096, 256, 704, 4, 8, 8, 256, true}, 8, 256, 8, 256},
      Named{"A", {"stories15M", "llama", 32000, 288, 768, 6, 6, 6, 256, true}, 8, 256, 64, 256},
      Named{"40M", {"", "llama", 16000, 512, 1408, 10, 8, 8, 256, true}, 4, 256, 32, 256},
      Named{"B", bl::published_shape("SmolLM-135M"), 1, 512, 16, 2048},
      Named{"C", bl::published_shape("LLaMA-3.2-1B"), 1, 256, 4, 2048},
  };
  for (const Named& setting : settings) {
    if (setting.name == name) return setting;
  }
  arguments.refuse("--config " + name);
}

/// The number in "cuda" (0) or "cuda:N"; -1 for "cpu".
int gpu_of(const std::string& device, const bl::bench::Arguments& arguments) {
  if (device == "cpu") return -1;
  if (device == "cuda") return 0;
  int index = -1;
  if (device.starts_with("cuda:")) std::from_chars(device.data() + 5, device.data() + device.size(), index);
  if (index < 0) arguments.refuse("--device " + device);
  return index;
}

/// What the step will have resident at its peak, on top of what this program has now.
template <class T>
std::size_t predicted_bytes(const bl::bench::StepSetting& setting) {
  bl::TrainingOptions options;
  options.batch = setting.batch;
  options.micro_batch = setting.micro_batch;
  options.context = setting.context;
  options.recompute = setting.recompute;
  const auto forecast = setting.binary
                            ? bl::forecast_training_memory<bl::Llama<T, bl::Cpu, bl::Binary<bl::bench::StepRecipe>>>(
                                  setting.model, {}, options)
                            : bl::forecast_training_memory<bl::Llama<T>>(setting.model, {}, options);
  return forecast.total() + bl::resident_bytes();
}

void on_gpu([[maybe_unused]] const std::string& name, [[maybe_unused]] const bl::bench::StepSetting& setting,
            [[maybe_unused]] int gpu, [[maybe_unused]] const std::string& precision, [[maybe_unused]] bool json,
            [[maybe_unused]] double started) {
#if defined(BINLLM_WITH_CUDA)
  const auto report = bl::bench::measure_step_on_gpu(setting, gpu, precision, started);
  const bl::bench::StepReport& step = report.step;
  const double tokens = static_cast<double>(setting.tokens()) / step.step_seconds;
  const auto print = [&](fmt::string_view format) {
    fmt::print(fmt::runtime(format), fmt::arg("config", name), fmt::arg("mode", setting.binary ? "qat" : "fp"),
               fmt::arg("device", report.device), fmt::arg("precision", precision), fmt::arg("batch", setting.batch),
               fmt::arg("context", setting.context), fmt::arg("recompute", setting.recompute),
               fmt::arg("parameters", step.parameters), fmt::arg("tokens", tokens),
               fmt::arg("ms", 1e3 * step.step_seconds),
               fmt::arg("tflops", bl::bench::step_operations(setting, step.parameters) / step.step_seconds / 1e12),
               fmt::arg("peak", static_cast<double>(report.peak_bytes) / (1 << 30)),
               fmt::arg("start", step.first_step_seconds), fmt::arg("first", step.first_loss),
               fmt::arg("last", step.last_loss));
  };
  print(json
            ? "{{\"config\": \"{config}\", \"mode\": \"{mode}\", \"device\": \"{device}\", \"precision\": "
              "\"{precision}\", \"batch\": {batch}, \"context\": {context}, \"recompute\": {recompute}, "
              "\"parameters\": {parameters}, \"tokens_per_second\": {tokens:.0f}, \"step_ms\": {ms:.3f}, "
              "\"model_tflops\": {tflops:.1f}, \"peak_gib\": {peak:.3f}, \"first_step_seconds\": {start:.2f}, "
              "\"first_loss\": {first:.5f}, \"last_loss\": {last:.5f}}}\n"
            : "{config} {mode}, {device}, {precision}, {batch} x {context}: {tokens:.0f} tokens/s, {ms:.2f} ms a step, "
              "{tflops:.0f} model TFLOP/s, peak {peak:.2f} GiB, first step after {start:.1f} s, "
              "loss {first:.4f} -> {last:.4f}\n");
#else
  throw bl::Error(bl::ErrorId::device_missing, "bench_train_step", "--device", "a program built with binllm::cuda",
                  "one built without");
#endif
}

template <class T>
void on_cpu(const std::string& name, const bl::bench::StepSetting& setting, int threads, bool json, bool dry_run,
            double started) {
  constexpr std::string_view precision = std::is_same_v<T, bl::bf16> ? "bf16" : "float32";
  const std::string_view mode = setting.binary ? "qat" : "fp";
  bl::set_thread_count(threads);
  const std::size_t predicted = predicted_bytes<T>(setting);
  if (dry_run) {
    fmt::print(
        "{{\"config\": \"{}\", \"mode\": \"{}\", \"precision\": \"{}\", \"recompute\": {}, \"predicted_bytes\": {}}}\n",
        name, mode, precision, setting.recompute, predicted);
    return;
  }
  const double peak_before = bl::bench::product_peak<T>(threads);
  const auto report = bl::bench::measure_step_on<T, bl::Cpu>(setting, started);
  const double peak = std::max(peak_before, bl::bench::product_peak<T>(threads)),
               rate = bl::bench::step_operations(setting, report.parameters) / report.step_seconds;
  const double tokens = static_cast<double>(setting.tokens()) / report.step_seconds;
  const auto print = [&](fmt::string_view format) {
    fmt::print(fmt::runtime(format), fmt::arg("config", name), fmt::arg("mode", mode), fmt::arg("precision", precision),
               fmt::arg("threads", threads), fmt::arg("recompute", setting.recompute),
               fmt::arg("parameters", report.parameters), fmt::arg("tokens", tokens),
               fmt::arg("growth", tokens * static_cast<double>(report.parameters)),
               fmt::arg("ms", 1e3 * report.step_seconds), fmt::arg("processor_ms", 1e3 * report.processor_seconds),
               fmt::arg("rss", bl::bench::peak_rss_bytes()), fmt::arg("predicted", predicted),
               fmt::arg("share", rate / peak), fmt::arg("gflops", peak / 1e9), fmt::arg("first", report.first_loss),
               fmt::arg("last", report.last_loss));
  };
  print(json
            ? "{{\"config\": \"{config}\", \"mode\": \"{mode}\", \"precision\": \"{precision}\", \"threads\": "
              "{threads}, \"recompute\": {recompute}, "
              "\"parameters\": "
              "{parameters}, \"tokens_per_second\": {tokens:.1f}, "
              "\"parameters_times_tokens_per_second\": {growth:.4e}, \"step_ms\": {ms:.1f}, "
              "\"processor_ms\": {processor_ms:.1f}, \"peak_rss_bytes\": "
              "{rss}, \"predicted_bytes\": {predicted}, "
              "\"peak_share\": {share:.3f}, "
              "\"peak_gflops\": {gflops:.1f}, "
              "\"first_loss\": {first:.5f}, \"last_loss\": {last:.5f}}}\n"
            : "{config} {mode}, {precision}, {threads} threads: {tokens:.0f} tokens/s, {ms:.0f} ms a step, {rss} bytes "
              "({predicted} predicted), {share:.2f} of the peak of {gflops:.0f} GFLOP/s, "
              "loss {first:.4f} -> {last:.4f}, parameters x tokens/s {growth:.3e}\n");
}

}  // namespace

int main(int count, char** words) {
  const double started = bl::bench::now();
  bl::bench::Arguments arguments(
      count, words,
      "bench_train_step [--config 1M|4M|A|40M|B|C] [--mode fp|qat] [--device cpu|cuda|cuda:N] [--precision "
      "float32|tf32|bf16] [--threads N] [--steps K] [--batch N] [--micro-batch N] [--context N] [--recompute] [--json] "
      "[--dry-run]\n  --precision is bf16 by default on a GPU, float32 on the CPU, which has no tf32; --threads and "
      "--dry-run for the CPU");
  const std::string name = arguments.text("--config", "A"), mode = arguments.text("--mode", "fp");
  const std::string device = arguments.text("--device", "cpu"),
                    precision = arguments.text("--precision", device == "cpu" ? "float32" : "bf16");
  const Named named = setting_named(name, arguments);
  const int gpu = gpu_of(device, arguments);
  const auto number = [&](const char* flag, Index otherwise) {
    return static_cast<Index>(arguments.number(flag, static_cast<int>(otherwise)));
  };
  const int threads = arguments.number("--threads", 2);
  bl::bench::StepSetting setting{.model = named.model.config(),
                                 .batch = number("--batch", gpu < 0 ? named.batch : named.gpu_batch),
                                 .context = number("--context", gpu < 0 ? named.context : named.gpu_context),
                                 .micro_batch = 0,
                                 .binary = mode == "qat",
                                 .recompute = arguments.flag("--recompute"),
                                 .steps = arguments.number("--steps", gpu < 0 ? 5 : 20)};
  setting.micro_batch = number("--micro-batch", setting.batch);
  setting.model.max_position_embeddings = setting.context;
  const bool json = arguments.flag("--json"), dry_run = arguments.flag("--dry-run");
  if (mode != "fp" && mode != "qat") arguments.refuse("--mode " + mode);
  if (gpu < 0 && precision != "float32" && precision != "bf16") arguments.refuse("--precision " + precision);
  arguments.end();
  try {
    if (gpu >= 0) {
      on_gpu(name, setting, gpu, precision, json, started);
    } else if (precision == "bf16") {
      on_cpu<bl::bf16>(name, setting, threads, json, dry_run, started);
    } else {
      on_cpu<float>(name, setting, threads, json, dry_run, started);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
