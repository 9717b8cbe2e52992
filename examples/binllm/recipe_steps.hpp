// SPDX-License-Identifier: MIT
/// What run_recipe does, for those who instantiate it.
#pragma once
#include "moved_model.hpp"
#include "recipe_run.hpp"

#include <binllm/io/folders/model.hpp>

#include <fmt/core.h>

#include <map>
#include <type_traits>
#include <utility>

namespace program {

template <binllm::ChannelSharing sharing>
[[nodiscard]] binllm::RuntimeBinary<float, sharing> format_of(const RecipeChoice& choice) {
  return {binllm::RuntimeEstimator<float>::named(choice.estimator),
          binllm::RuntimeScale<float>::named(choice.scale, choice.granularity),
          binllm::RuntimeSchedule::named(choice.schedule)};
}

[[nodiscard]] inline bool has_stage_1(const RecipeJob& job) {
  return job.search.steps > 0 && job.choice.channel_scale != "none";
}

/// The table while it grows: each row is judged as soon as its model is there, and priced once it is saved.
class RecipeTable {
 public:
  RecipeTable(const RecipeJob& job, Progress& progress) : job_(job), progress_(progress) {}

  template <class Model>
  void judge_row(std::string name, Model& model, double hardness) {
    if (!job_.validation) return;
    const binllm::PerplexityOptions options{
        .context = job_.training.context, .max_windows = job_.validation_windows, .hardness = hardness};
    rows_.push_back(judge(std::move(name), model, *job_.validation, options));
    progress_.say(fmt::format("{:<26} nll {:.4f}", rows_.back().name, rows_.back().nll));
  }
  void cost(std::size_t row, const fs::path& folder) {
    if (row < rows_.size()) add_cost(rows_[row], folder);
  }
  [[nodiscard]] std::vector<ResultRow>& rows() noexcept { return rows_; }

 private:
  const RecipeJob& job_;
  Progress& progress_;
  std::vector<ResultRow> rows_;
};

inline constexpr double at_infinity = std::numeric_limits<double>::infinity();

/// Packs on the host, and judges what was packed: a GPU its weights +-scale, the CPU also activations of eight bits.
template <class T, class Device, class F>
void pack_and_judge(const binllm::Llama<float, binllm::Cpu, F>& binary, const RecipeJob& job, RecipeTable& table) {
  auto packed = binllm::pack<binllm::FloatActivations>(binary);
  binllm::save(packed, job.out / "packed", {.tokenizer = job.tokenizer});
  if constexpr (std::is_same_v<Device, binllm::Cpu>) {
    table.judge_row("packed", packed, at_infinity);
    auto integer = binllm::pack(binary);
    table.judge_row("packed, int8 activations", integer, at_infinity);
  } else if (job.validation) {
    auto moved = binllm::on_device<Device, T>(binllm::unpack(packed));
    table.judge_row("packed", moved, at_infinity);
  }
}

template <class T, class Device, binllm::ChannelSharing sharing>
std::vector<ResultRow> run_stages(binllm::Llama<float>& dense, const fs::path& source, const RecipeJob& job,
                                  Progress& progress) {
  RecipeTable table(job, progress);
  auto binary = [&] {  // a GPU has no use for the dense model any more
    auto&& model = on_chosen<T, Device>(dense);
    table.judge_row("full precision", model, 0);
    return binllm::binarize(model, format_of<sharing>(job.choice));
  }();
  table.judge_row("naive sign", binary, at_infinity);
  const bool searched = has_stage_1(job);
  if (searched) {
    binllm::search_channel_scale(binary, job.corpus, job.search, &progress);
    table.judge_row("after stage 1", binary, at_infinity);
  }
  binllm::train_progressively(binary, job.corpus, job.training, job.validation ? &*job.validation : nullptr, &progress);
  const double t = binllm::chunk_hardness(binary.format.schedule, job.training.chunks, job.training.chunks);
  table.judge_row(job.choice.estimator + " with F", binary, t);
  std::map<std::string, std::string> recipe{{"t", fmt::format("{}", t)}};
  if (!searched) recipe["channel_scale"] = "none";
  auto&& trained = on_host(binary);
  binllm::save(trained, job.out / "binary", {.tokenizer = job.tokenizer, .recipe = recipe});
  const std::size_t with_f = table.rows().size() - 1;  // of the rows, where there are any
  const bool packs = binary.format.scale.traits().granularity != binllm::Granularity::group;
  if (packs) {
    pack_and_judge<T, Device>(trained, job, table);
  } else {
    table.judge_row("sign, not packed", binary, at_infinity);
    progress.say("group scales cannot be packed: only the binary folder is written");
  }
  for (std::size_t row = 1; row < table.rows().size(); ++row)
    table.cost(row, job.out / (packs && row != with_f ? "packed" : "binary"));
  table.cost(0, source);
  return std::move(table.rows());
}

template <class T, class Device>
std::vector<ResultRow> run_recipe(binllm::Llama<float>& dense, const fs::path& source, const RecipeJob& job,
                                  Progress& progress) {
  if (job.choice.channel_scale == "per-linear")
    return run_stages<T, Device, binllm::ChannelSharing::per_linear>(dense, source, job, progress);
  return run_stages<T, Device, binllm::ChannelSharing::shared>(dense, source, job, progress);
}

}  // namespace program
