// SPDX-License-Identifier: MIT
/// What a model is worth and what it costs, in tables; what a run takes, before it starts.
#pragma once
#include "shared.hpp"

#include <binllm/io/any/any_model.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace program {

/// A model's perplexity, and the time that it took.
struct Judgement {
  binllm::Perplexity result;
  double tokens_per_second = 0;
};
[[nodiscard]] Judgement judge(const binllm::AnyModel& model, const binllm::TokenStream& stream,
                              const binllm::PerplexityOptions& options, const binllm::AnyCommunicator& ranks = {});

/// A row of a result table.
struct ResultRow {
  std::string name;
  double nll = 0, perplexity = 0;
  double bits_per_weight = 0;  ///< of the blocks' linear layers with their scales, as the row's model would be stored
  double bytes = 0;            ///< of its tensors' file or files
  double tokens_per_second = 0;
  binllm::Index windows = 0, context = 0;  ///< that it was judged by
};

[[nodiscard]] ResultRow row_of(std::string name, const Judgement& judgement);

/// Fills in what the saved model costs.
void add_cost(ResultRow& row, const fs::path& folder);
/// The best model that a run has kept, judged as it stands in its folder; nothing where the run kept none.
[[nodiscard]] std::optional<ResultRow> best_row(const fs::path& run, const fs::path& best,
                                                const binllm::TokenStream& stream,
                                                const binllm::PerplexityOptions& options, const DeviceChoice& device);
/// A Markdown table that also reads well on a terminal.
[[nodiscard]] std::string markdown_table(const std::vector<ResultRow>& rows);
[[nodiscard]] Json to_json(const std::vector<ResultRow>& rows);

/// What a training leaves beside its models: README.md, with the table, the exact command and the configuration, and
/// results.json, the rows. `judged_by` says in words by which text; empty: by none, and there are no rows.
void write_results(const fs::path& folder, const std::string& title, const std::string& judged_by,
                   const std::vector<ResultRow>& rows, const Json& config);

/// What --dry-run prints.
struct DryRun {
  binllm::ModelConfig config;
  binllm::Index parameters = 0;  ///< of the model that is trained
  binllm::Index tokens_per_step = 0, steps = 0;
  binllm::MemoryForecast training;
  std::optional<binllm::MemoryForecast> channel_scale{};  ///< stage 1
  std::size_t resident = 0;                               ///< before the model that is trained was made
  std::string learns_from{};                              ///< a teacher and what is wanted of it; empty: none
  binllm::RanksForecast ranks{};                          ///< of one of which the forecast is

  /// The larger stage on top of what is there already.
  [[nodiscard]] std::size_t peak() const;
};
/// On standard output: a few lines, or one JSON object. What stands there of a GPU is what the CPU would take.
void print(const DryRun& run, const DeviceChoice& device, bool json);

/// Every token must be one of the model's: asked before any work, in a dry run too. Errors: token_out_of_range.
void check_tokens(const std::string& command, const binllm::TokenStream& stream, const binllm::ModelConfig& config);

/// "12.3 MB", in powers of 1000.
[[nodiscard]] std::string in_megabytes(std::size_t bytes);

}  // namespace program
