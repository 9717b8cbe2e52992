// SPDX-License-Identifier: MIT
#include "recipe_run.hpp"

#include <binllm/io/folders/model.hpp>

#include <fmt/core.h>

namespace program {

void RecipeChoice::complete() {
  const auto& entry = *binllm::RuntimeEstimator<float>::named(estimator).entry;
  if (scale.empty()) scale = entry.default_scale;
  if (schedule.empty()) schedule = entry.default_schedule;
  (void)binllm::RuntimeScale<float>::named(scale, granularity);
  (void)binllm::RuntimeSchedule::named(schedule);
  (void)binllm::channel_sharing_named(channel_scale);
}

namespace {

template <binllm::ChannelSharing sharing>
binllm::RuntimeBinary<float, sharing> format_of(const RecipeChoice& choice) {
  return {binllm::RuntimeEstimator<float>::named(choice.estimator),
          binllm::RuntimeScale<float>::named(choice.scale, choice.granularity),
          binllm::RuntimeSchedule::named(choice.schedule)};
}

bool has_stage_1(const RecipeJob& job) { return job.search.steps > 0 && job.choice.channel_scale != "none"; }

template <binllm::ChannelSharing sharing>
RecipeForecast forecast(const binllm::LlamaConfig& config, const RecipeJob& job) {
  const auto format = format_of<sharing>(job.choice);
  RecipeForecast result;
  result.parameters = binllm::parameter_count(
      binllm::Llama<float, binllm::Meta, binllm::RuntimeBinary<float, sharing>>(config, format));
  result.training =
      binllm::forecast_training_memory(config, format, job.training, job.validation ? &*job.validation : nullptr);
  if (has_stage_1(job)) result.channel_scale = binllm::forecast_channel_scale_memory(config, format, job.training);
  return result;
}

template <binllm::ChannelSharing sharing>
std::vector<ResultRow> run(binllm::Llama<float>& dense, const fs::path& source, const RecipeJob& job,
                           Progress& progress) {
  const binllm::PerplexityOptions sign{.context = job.training.context, .max_windows = job.validation_windows};
  std::vector<ResultRow> rows;
  const auto judge_row = [&](std::string name, auto& model, double hardness) {
    if (!job.validation) return;
    auto options = sign;
    options.hardness = hardness;
    rows.push_back(judge(std::move(name), model, *job.validation, options));
    progress.say(fmt::format("{:<26} nll {:.4f}", rows.back().name, rows.back().nll));
  };
  constexpr double infinity = std::numeric_limits<double>::infinity();

  judge_row("full precision", dense, 0);
  auto binary = binllm::binarize(dense, format_of<sharing>(job.choice));
  judge_row("naive sign", binary, infinity);
  const bool searched = has_stage_1(job);
  if (searched) {
    binllm::search_channel_scale(binary, job.corpus, job.search, &progress);
    judge_row("after stage 1", binary, infinity);
  }
  binllm::train_progressively(binary, job.corpus, job.training, job.validation ? &*job.validation : nullptr, &progress);
  const double t = binllm::chunk_hardness(binary.format.schedule, job.training.chunks, job.training.chunks);
  judge_row(job.choice.estimator + " with F", binary, t);
  std::map<std::string, std::string> recipe{{"t", fmt::format("{}", t)}};
  if (!searched) recipe["channel_scale"] = "none";
  binllm::save(binary, job.out / "binary", {.tokenizer = job.tokenizer, .recipe = recipe});
  const auto cost = [&](std::size_t row, const fs::path& folder) {
    if (row < rows.size()) add_cost(rows[row], folder);
  };
  if (binary.format.scale.traits().granularity != binllm::Granularity::group) {
    auto packed = binllm::pack<binllm::FloatActivations>(binary);
    binllm::save(packed, job.out / "packed", {.tokenizer = job.tokenizer});
    const std::size_t with_f = rows.size() - 1;  // of the rows, where there are any
    judge_row("packed", packed, infinity);
    auto integer = binllm::pack(binary);
    judge_row("packed, int8 activations", integer, infinity);
    for (std::size_t row = 1; row < rows.size(); ++row) cost(row, job.out / (row == with_f ? "binary" : "packed"));
  } else {
    judge_row("sign, not packed", binary, infinity);
    progress.say("group scales cannot be packed: only the binary folder is written");
    for (std::size_t row = 1; row < rows.size(); ++row) cost(row, job.out / "binary");
  }
  cost(0, source);
  return rows;
}

}  // namespace

RecipeForecast forecast_recipe(const binllm::LlamaConfig& config, const RecipeJob& job) {
  if (job.choice.channel_scale == "per-linear") return forecast<binllm::ChannelSharing::per_linear>(config, job);
  return forecast<binllm::ChannelSharing::shared>(config, job);
}

std::vector<ResultRow> run_recipe(binllm::Llama<float>& dense, const fs::path& source, const RecipeJob& job,
                                  Progress& progress) {
  if (job.choice.channel_scale == "per-linear")
    return run<binllm::ChannelSharing::per_linear>(dense, source, job, progress);
  return run<binllm::ChannelSharing::shared>(dense, source, job, progress);
}

}  // namespace program
