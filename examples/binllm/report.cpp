// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <binllm/core/check.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/run_record.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <span>

namespace program {

Judgement judge(const binllm::AnyModel& model, const binllm::TokenStream& stream,
                const binllm::PerplexityOptions& options, const binllm::AnyCommunicator& ranks) {
  const auto start = std::chrono::steady_clock::now();
  const auto result = model.evaluate(stream, options, ranks);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {result, static_cast<double>(result.scored) / seconds};
}

ResultRow row_of(std::string name, const Judgement& judgement) {
  const binllm::Perplexity& result = judgement.result;
  return {.name = std::move(name),
          .nll = result.nll,
          .perplexity = result.perplexity,
          .tokens_per_second = judgement.tokens_per_second,
          .windows = result.windows,
          .context = result.context};
}

void add_cost(ResultRow& row, const fs::path& folder) {
  const auto counts = binllm::bit_counts(folder);
  row.bits_per_weight = counts.block_linears_with_scales;
  row.bytes = static_cast<double>(counts.file_bytes);
}

std::optional<ResultRow> best_row(const fs::path& run, const fs::path& best, const binllm::TokenStream& stream,
                                  const binllm::PerplexityOptions& options, const DeviceChoice& device) {
  const binllm::RunRecord record = binllm::read_run(run);
  const auto* const report = record.best();
  if (report == nullptr || !fs::exists(best)) return std::nullopt;
  const auto model = binllm::AnyModel::open(best, {.device = device.chosen});
  ResultRow row = row_of(fmt::format("best, step {}", report->step), judge(model, stream, options));
  add_cost(row, best);
  return row;
}

std::string markdown_table(const std::vector<ResultRow>& rows) {
  std::string table = fmt::format(
      "| {:<26} | {:>8} | {:>10} | {:>11} | {:>10} | {:>8} |\n|{:-<28}|{:->9}:|{:->11}:|{:->12}:|{:->11}:|{:->9}:|\n",
      "model", "nll", "perplexity", "bits/weight", "bytes", "tokens/s", "", "", "", "", "", "");
  for (const ResultRow& row : rows) {
    table += fmt::format("| {:<26} | {:>8.4f} | {:>10.3f} | {:>11.4f} | {:>10.0f} | {:>8.0f} |\n", row.name, row.nll,
                         row.perplexity, row.bits_per_weight, row.bytes, row.tokens_per_second);
  }
  return table;
}

Json to_json(const std::vector<ResultRow>& rows) {
  Json results = Json::array();
  for (const auto& row : rows) {
    results.push_back({{"model", row.name},
                       {"nll", row.nll},
                       {"perplexity", row.perplexity},
                       {"bits_per_weight", row.bits_per_weight},
                       {"bytes", row.bytes},
                       {"tokens_per_second", row.tokens_per_second},
                       {"windows", row.windows},
                       {"context", row.context}});
  }
  return results;
}

void write_results(const fs::path& folder, const std::string& title, const std::string& judged_by,
                   const std::vector<ResultRow>& rows, const Json& config) {
  const auto write = [&](const char* name, const std::string& text) {
    binllm::AtomicFile file(folder / name);
    file.write(std::as_bytes(std::span(text)));
    file.commit();
  };
  std::string text = fmt::format("# {}\n\n", title);
  if (rows.empty()) {
    text += "There was no text to judge by, so there is no result table.\n\n";
  } else {
    text += fmt::format("Validation text: {}, {} windows of {} tokens. {}.\n\n{}\n", judged_by, rows.front().windows,
                        rows.front().context, binllm::Perplexity::protocol, markdown_table(rows));
  }
  text += fmt::format("Made by\n\n    {}\n\nwith\n\n```json\n{}\n```\n", command_line(), config.dump(2));
  write("README.md", text);
  write("results.json", Json{{"results", to_json(rows)}}.dump(2) + '\n');
}

namespace {

Json to_json(const binllm::MemoryForecast& forecast) {
  return {{"weights", forecast.parameters}, {"gradients", forecast.gradients},     {"moments", forecast.moments},
          {"teacher", forecast.teacher},    {"activations", forecast.activations}, {"total", forecast.total()}};
}

void print_json(const DryRun& run, const DeviceChoice& device) {
  Json line{{"dry_run", true},
            {"parameters", run.parameters},
            {"tokens_per_step", run.tokens_per_step},
            {"steps", run.steps},
            {"forecast", to_json(run.training)}};
  if (run.channel_scale) line["channel_scale_forecast"] = to_json(*run.channel_scale);
  if (!run.learns_from.empty()) line["learns_from"] = run.learns_from;
  if (run.ranks.ranks > 1) {
    line["ranks"] = run.ranks.ranks;
    line["shard"] = run.ranks.sharding.name();
  }
  line["resident_bytes"] = run.resident;
  line["predicted_peak_bytes"] = run.peak();
  line["forecast_of"] = fmt::format("cpu, {}", to_string(device.forecast_precision()));
  device.add_to(line);
  if (device.chosen.gpu) line["free_gpu_bytes"] = device.chosen.gpu->free_bytes;
  fmt::print("{}\n", line.dump());
}

}  // namespace

std::size_t DryRun::peak() const {
  return resident + std::max(training.total(), channel_scale ? channel_scale->total() : 0);
}

void check_tokens(const std::string& command, const binllm::TokenStream& stream, const binllm::ModelConfig& config) {
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
  if (!run.learns_from.empty()) fmt::print("learns from  {}\n", run.learns_from);
  if (run.ranks.ranks > 1)
    fmt::print("ranks        {}, shard {}; of each:\n", run.ranks.ranks, run.ranks.sharding.name());
  fmt::print("weights      {}\ngradients    {}\nmoments      {}\n", in_megabytes(f.parameters),
             in_megabytes(f.gradients), in_megabytes(f.moments));
  if (f.teacher > 0) fmt::print("teacher      {}\n", in_megabytes(f.teacher));
  fmt::print("activations  {}\ntotal        {}\n", in_megabytes(f.activations), in_megabytes(f.total()));
  if (run.channel_scale) fmt::print("stage 1      {} in all\n", in_megabytes(run.channel_scale->total()));
  if (!device.chosen.gpu) {
    fmt::print("peak memory  {} expected: {} are resident already\n", in_megabytes(run.peak()),
               in_megabytes(run.resident));
    return;
  }
  fmt::print("device       {}: {} free\n", device.description(), in_megabytes(device.chosen.gpu->free_bytes));
  fmt::print(
      "note         the forecast is that of the CPU in float32. A GPU holds the same weights, gradients and moments;\n"
      "             its activations take about as much in float32 and tf32, and about half in bf16\n");
}

std::string in_megabytes(std::size_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

}  // namespace program
