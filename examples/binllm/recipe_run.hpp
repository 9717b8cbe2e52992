// SPDX-License-Identifier: MIT
/// The whole recipe on one model: both stages, packing, and the table that says what each step was worth.
#pragma once
#include "command.hpp"
#include "model_report.hpp"
#include "progress.hpp"

#include <binllm/models/llama.hpp>
#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/forecast.hpp>
#include <binllm/train/progressive.hpp>

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace program {

/// The policies by name; an empty scale or schedule is the estimator's own.
struct RecipeChoice {
  std::string estimator = "progressive", scale, schedule, granularity = "row", channel_scale = "shared";
  /// Fills in what was left empty. Errors: unknown_name.
  void complete();
};

struct RecipeJob {
  RecipeChoice choice;
  binllm::ChannelScaleOptions search;  ///< steps = 0: no stage 1
  binllm::ProgressiveOptions training;
  binllm::TokenStream corpus;
  std::optional<binllm::TokenStream> validation{};
  binllm::Index validation_windows = std::numeric_limits<binllm::Index>::max();  ///< the first so many are judged by
  fs::path out{};  ///< out/binary and out/packed are written
  const binllm::Tokenizer* tokenizer = nullptr;
};

/// What run_recipe takes on top of the dense model, whose configuration is given: the forecasts of both stages.
struct RecipeForecast {
  binllm::Index parameters = 0;  ///< of the binary model
  binllm::MemoryForecast training;
  std::optional<binllm::MemoryForecast> channel_scale{};
};
[[nodiscard]] RecipeForecast forecast_recipe(const binllm::LlamaConfig& config, const RecipeJob& job);

/// Rows: full precision; naive sign; after stage 1 (where there is one); with F; packed; on the CPU also packed with
/// activations of eight bits. Empty without a validation stream.
/// `source` is the folder of the dense model, which is on the host; both stages and the rows are computed on the
/// device, in T.
template <class T, class Device>
[[nodiscard]] std::vector<ResultRow> run_recipe(binllm::Llama<float>& dense, const fs::path& source,
                                                const RecipeJob& job, Progress& progress);

}  // namespace program
