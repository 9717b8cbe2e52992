// SPDX-License-Identifier: MIT
/// What a training keeps beside its numbers and states: what the model says at each evaluation, histograms of its
/// weights at the ends of chunks, and the best model so far.
#pragma once
#include "shared.hpp"

#include <binllm/io/any/any_model.hpp>
#include <binllm/io/folders/run_record.hpp>

#include <optional>
#include <string>

namespace program {

/// How a training judges itself while it runs.
struct RecordFlags {
  std::string sample_prompt;
  binllm::Index sample_tokens = 48;
  double held_out = 0.05;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("held_out", self.held_out,
      "share of the text, its end, that is judged by and not learnt from where there is no "
      "--valid; 0: none",
      between(0, 0.5));
    v("sample_prompt", self.sample_prompt, "what the model continues at each evaluation",
      shown_as("the beginning of the text to judge by"));
    v("sample_tokens", self.sample_tokens, "tokens of each continuation; 0: none", count_from(0));
  }
  /// Errors: config_inconsistent.
  void refuse_idle(const GivenFlags& given, const std::string& valid, bool built_in) const;
};

/// The streams of a training: what it learns from, and what it is judged by.
struct TrainingText {
  binllm::TokenStream corpus;
  std::optional<binllm::TokenStream> validation;
  std::string judged_by;  ///< in words; empty where nothing is

  /// A line for the user.
  [[nodiscard]] std::string said() const;
};
/// Cuts an end off the corpus where there is no other text to judge by; not where a file of predictions teaches, which
/// is about the whole text, unless asked to. Errors: those of hold_out.
[[nodiscard]] TrainingText training_text(binllm::TokenStream corpus, std::optional<binllm::TokenStream> validation,
                                         const std::string& valid, const RecordFlags& flags, const GivenFlags& given,
                                         const fs::path& teacher, binllm::Index context,
                                         const binllm::Tokenizer& tokenizer);

/// What is asked of the model at each evaluation.
struct SamplePlan {
  std::string prompt;
  binllm::Index tokens = 0;  ///< 0: nothing
};
/// Errors: index_out_of_range for a prompt that the model has no positions for; token_out_of_range.
[[nodiscard]] SamplePlan sample_plan(const RecordFlags& flags, const TrainingText& text,
                                     const binllm::Tokenizer& tokenizer, const binllm::ModelConfig& config);

/// A linear layer of a training: its format, and how many outputs it has.
struct ChosenLayer {
  std::string format;
  binllm::FormatWords words;
  binllm::Index out = 0;
};

/// Stands between a training and its run folder, and hands everything on.
class Records final : public binllm::RunLog {
 public:
  /// The folder must live as long. `keeps_best` wants evaluations on the way: the last model is the run's anyway.
  Records(binllm::RunFolder& folder, SamplePlan samples, const binllm::Tokenizer& tokenizer, bool keeps_best);

  /// The model that is trained from now on, and what a folder of it says beside the model. It must stay where it is.
  void follow(const binllm::AnyModel& model, binllm::SaveOptions saved);
  /// The linear layer whose weights are counted at the ends of so many chunks (0: at the end), by its name in states.
  void look_at(std::string layer, const ChosenLayer& chosen, binllm::Index chunks);

  /// Where the best model is, once there is one.
  [[nodiscard]] fs::path best() const { return folder_.path() / "best"; }

  void report(std::string_view phase, binllm::Index step, binllm::Index steps,
              std::span<const binllm::Metric> metrics) override;
  [[nodiscard]] bool wants_checkpoint(binllm::Index step, binllm::Index steps) override {
    return folder_.wants_checkpoint(step, steps);
  }
  void save(std::string_view phase, const binllm::TrainingState& state) override { folder_.save(phase, state); }
  [[nodiscard]] std::string wants_look(binllm::Index step, binllm::Index steps) override;
  void look(std::string_view phase, const binllm::TrainingState& state) override;
  [[nodiscard]] bool restore(std::string_view phase, binllm::TrainingState& state) override {
    return folder_.restore(phase, state);
  }

 private:
  struct Report {
    std::string phase;
    binllm::Index step = 0;
    double t = 0;
  };
  void add_samples(const Report& report);
  void keep_if_best(double loss);
  [[nodiscard]] bool chunk_ends(binllm::Index step, binllm::Index steps) const;

  binllm::RunFolder& folder_;
  SamplePlan plan_;
  const binllm::Tokenizer& tokenizer_;
  bool keeps_best_;
  std::optional<double> lowest_;
  binllm::RunLines samples_, histograms_;
  const binllm::AnyModel* model_ = nullptr;
  binllm::SaveOptions saved_;
  std::string layer_;  ///< empty: none is looked at
  ChosenLayer chosen_;
  binllm::Index chunks_ = 0, steps_ = 0;
  Report last_;
};

/// Fills bins and range of a histogram with the weights that the layer multiplies with in a state, at histogram.t.
/// False where the state has no such layer, and in a program without xtensor.
[[nodiscard]] bool count_weights(const binllm::TrainingState& state, const ChosenLayer& chosen,
                                 binllm::WeightHistogram& histogram);
/// Why there are no histograms; empty where there are.
[[nodiscard]] std::string_view no_histograms();

}  // namespace program
