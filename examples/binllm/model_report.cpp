// SPDX-License-Identifier: MIT
#include "model_report.hpp"

#include <binllm/io/folders/bit_counts.hpp>

#include <cmath>
#include <limits>

namespace program {

void add_cost(ResultRow& row, const std::filesystem::path& folder) {
  row.bits_per_weight = binllm::bit_counts(folder).block_linears_with_scales;
  row.bytes = static_cast<double>(std::filesystem::file_size(folder / "model.safetensors"));
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

nlohmann::ordered_json to_json(const std::vector<ResultRow>& rows) {
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const auto& row : rows) {
    results.push_back({{"model", row.name},
                       {"nll", row.nll},
                       {"perplexity", row.perplexity},
                       {"bits_per_weight", row.bits_per_weight},
                       {"bytes", row.bytes},
                       {"tokens_per_second", row.tokens_per_second}});
  }
  return results;
}

double parse_hardness(const std::string& text) {
  if (text == "inf") return std::numeric_limits<double>::infinity();
  try {
    std::size_t used = 0;
    const double value = std::stod(text, &used);
    if (used == text.size() && value >= 0) return value;
  } catch (const std::exception&) {  // not a number: refused below
  }
  throw binllm::Error(binllm::ErrorId::option_out_of_range, "program", "--hardness", "a number >= 0, or inf", text);
}

}  // namespace program
