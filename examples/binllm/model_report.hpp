// SPDX-License-Identifier: MIT
/// Rows of a result table: what a model is worth and what it costs.
#pragma once
#include <binllm/eval/perplexity.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace program {

struct ResultRow {
  std::string name;
  double nll = 0, perplexity = 0;
  double bits_per_weight = 0;  ///< of the blocks' linear layers with their scales, as the row's model would be stored
  double bytes = 0;            ///< of its model.safetensors
  double tokens_per_second = 0;
};

template <class Model>
[[nodiscard]] ResultRow judge(std::string name, Model& model, const binllm::TokenStream& stream,
                              const binllm::PerplexityOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto result = binllm::evaluate_perplexity(model, stream, options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {std::move(name), result.nll, result.perplexity, 0, 0, static_cast<double>(result.scored) / seconds};
}

/// Fills in what the saved model costs.
void add_cost(ResultRow& row, const std::filesystem::path& folder);

/// A Markdown table that also reads well on a terminal.
[[nodiscard]] std::string markdown_table(const std::vector<ResultRow>& rows);

[[nodiscard]] nlohmann::ordered_json to_json(const std::vector<ResultRow>& rows);

/// "inf" or a number >= 0. Errors: option_out_of_range.
[[nodiscard]] double parse_hardness(const std::string& text);

}  // namespace program
