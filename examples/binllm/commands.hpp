// SPDX-License-Identifier: MIT
/// The subcommands, one file each; and what `demo` takes from two of them.
#pragma once
#include "learning.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "shared.hpp"

#include <binllm/models/families.hpp>
#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/progressive.hpp>

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace program {

class Records;

// Each adds itself, and its flags to the list.
void add_pretrain(CLI::App& app, std::string& list);
void add_binarize(CLI::App& app, std::string& list);
void add_evaluate(CLI::App& app, std::string& list);
void add_generate(CLI::App& app, std::string& list);
void add_chat(CLI::App& app, std::string& list);
void add_tokenize(CLI::App& app, std::string& list);
void add_teach(CLI::App& app, std::string& list);
void add_dataset(CLI::App& app, std::string& list);
void add_inspect(CLI::App& app, std::string& list);
void add_bits(CLI::App& app, std::string& list);
void add_pack(CLI::App& app, std::string& list);
void add_convert(CLI::App& app, std::string& list);
void add_quantize(CLI::App& app, std::string& list);
void add_plot(CLI::App& app, std::string& list);
void add_report(CLI::App& app, std::string& list);
void add_watch(CLI::App& app, std::string& list);
void add_demo(CLI::App& app, std::string& list);
void add_completion(CLI::App& app, std::string& list);
void add_manual(CLI::App& app, std::string& list);

/// pretrain: family and shape of a model as the command line gives them.
struct ModelSize {
  std::string family{binllm::TypeAt<0, binllm::ShippedFamilies>::name};
  binllm::Index dim = 128, hidden = 352, layers = 4, heads = 4, kv_heads = 2;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("family", self.family, binllm::names_of<binllm::ShippedFamilies>(),
      with_known(names_in<binllm::ShippedFamilies>()));
    v("dim", self.dim, "width", count_from(1));
    v("hidden", self.hidden, "width of the feed-forward networks", count_from(1));
    v("layers", self.layers, "decoder layers", between(1, 4096));
    v("heads", self.heads, "query heads", count_from(1));
    v("kv_heads", self.kv_heads, "key-value heads where the family may have fewer; 0: as many as query heads",
      count_from(0));
  }
  /// Errors: unknown_name, config_inconsistent.
  [[nodiscard]] binllm::ModelConfig config(const binllm::Tokenizer& tokenizer, binllm::Index context,
                                           const GivenFlags& given = {}) const;
};

/// The format that a model is trained in.
struct ChosenFormat {
  std::string name;             ///< as config.json has it
  binllm::FormatWords words{};  ///< and what stands beside it there
  std::string row{};            ///< what the table calls the trained model

  /// The paper's recipe.
  [[nodiscard]] static ChosenFormat of(const binllm::RecipeNames& recipe) {
    const binllm::RecipeNames all = recipe.completed();
    return {std::string(all.format), all.words(), all.estimator + " with F"};
  }
  [[nodiscard]] bool is_binary() const { return name == binllm::RecipeNames::format; }
  /// Of a binary format.
  [[nodiscard]] binllm::RecipeNames recipe() const;
};

/// binarize: a training-time method on one model, from the start to what runs.
struct RecipeJob {
  ChosenFormat format;
  binllm::ChannelScaleOptions search;  ///< stage 1; steps = 0: none
  binllm::ProgressiveOptions training;
  binllm::TokenStream corpus;
  std::optional<binllm::TokenStream> validation{};
  binllm::Index validation_windows = all;  ///< the first so many are judged by
  fs::path source{}, out{};  ///< folder of the model; folders named after the formats are written into out
  const binllm::Tokenizer* tokenizer = nullptr;
  binllm::LearnFrom loss{};
  Records* records = nullptr;  ///< of a run; follows the model that stage 2 trains
  binllm::AnyParallel parallel{};

  /// Other ranks than the first write nothing, and have no rows to show.
  [[nodiscard]] bool writes() const { return parallel.ranks.rank() == 0; }

  [[nodiscard]] bool has_stage_1() const {
    return search.steps > 0 && format.is_binary() && format.recipe().sharing() != binllm::ChannelSharing::none;
  }
  [[nodiscard]] binllm::PerplexityOptions evaluation(double sharpness) const {
    return {.context = training.training.context, .max_windows = validation_windows, .sharpness = sharpness};
  }
};

/// Rows: full precision, naive (quantised, not trained), after stage 1 (where there is one), trained, stored (where the
/// format has a stored form); on the CPU, where that is packed signs, also with activations of eight bits. Empty without a
/// validation stream.
[[nodiscard]] std::vector<ResultRow> run_recipe(binllm::AnyModel model, const RecipeJob& job,
                                                const binllm::AnyDevice& device, Progress& progress);

}  // namespace program
