// SPDX-License-Identifier: MIT
#include "memory_report.hpp"

#include <binllm/core/check.hpp>

#include <fmt/core.h>

#include <algorithm>

namespace program {

namespace {

nlohmann::ordered_json to_json(const binllm::MemoryForecast& forecast) {
  return {{"weights", forecast.parameters},
          {"gradients", forecast.gradients},
          {"moments", forecast.moments},
          {"activations", forecast.activations},
          {"total", forecast.total()}};
}

void print_json(const DryRun& run, const DeviceChoice& device) {
  nlohmann::ordered_json line{{"dry_run", true},
                              {"parameters", run.parameters},
                              {"tokens_per_step", run.tokens_per_step},
                              {"steps", run.steps},
                              {"forecast", to_json(run.training)}};
  if (run.channel_scale) line["channel_scale_forecast"] = to_json(*run.channel_scale);
  line["resident_bytes"] = run.resident;
  line["predicted_peak_bytes"] = run.peak();
  line["forecast_of"] = "cpu, float32";
  device.add_to(line);
  if (device.gpu) line["free_gpu_bytes"] = device.gpu->free_bytes;
  fmt::print("{}\n", line.dump());
}

}  // namespace

std::size_t DryRun::peak() const {
  return resident + std::max(training.total(), channel_scale ? channel_scale->total() : 0);
}

void check_tokens(const std::string& command, const binllm::TokenStream& stream, const binllm::LlamaConfig& config) {
  binllm::check_token_ids(command, binllm::View<const std::int32_t>(stream.tokens().data(), {stream.size()}),
                          config.vocab_size);
}

void print(const DryRun& run, const DeviceChoice& device, bool json) {
  if (json) return print_json(run, device);
  const auto& c = run.config;
  const auto& f = run.training;
  fmt::print("model        {} parameters: {} layers of width {}, {} hidden, {} heads ({} key-value), {} tokens\n",
             run.parameters, c.num_hidden_layers, c.hidden_size, c.intermediate_size, c.num_attention_heads,
             c.num_key_value_heads, c.vocab_size);
  fmt::print("steps        {} of {} tokens\n", run.steps, run.tokens_per_step);
  fmt::print("weights      {}\ngradients    {}\nmoments      {}\nactivations  {}\ntotal        {}\n",
             in_megabytes(f.parameters), in_megabytes(f.gradients), in_megabytes(f.moments),
             in_megabytes(f.activations), in_megabytes(f.total()));
  if (run.channel_scale) fmt::print("stage 1      {} in all\n", in_megabytes(run.channel_scale->total()));
  if (!device.gpu) {
    fmt::print("peak memory  {} expected: {} are resident already\n", in_megabytes(run.peak()),
               in_megabytes(run.resident));
    return;
  }
  fmt::print("device       {}: {} free\n", device.description(), in_megabytes(device.gpu->free_bytes));
  fmt::print(
      "note         the forecast is that of the CPU in float32. A GPU holds the same weights, gradients and moments;\n"
      "             its activations take about as much in float32 and tf32, and about half in bf16\n");
}

std::string in_megabytes(std::size_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

}  // namespace program
