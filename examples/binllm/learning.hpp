// SPDX-License-Identifier: MIT
/// What a training learns from beside its text, as the command line says it: a teacher, what one once predicted, a loss.
#pragma once
#include "shared.hpp"

#include <binllm/io/any/any_model.hpp>
#include <binllm/io/folders/teacher_cache.hpp>
#include <binllm/methods/loss_settings.hpp>

#include <optional>
#include <string>

namespace program {

struct LossFlags {
  fs::path teacher;
  binllm::LossSettings settings;
  std::string hidden_distance{binllm::hidden_directions};

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("teacher", self.teacher, "model folder or GGUF file to learn from, or a file of the command teach", any);
    binllm::LossSettings::visit(without("hidden_distance", v), self.settings);
    Flag words;
    words.one_of = {std::string(binllm::hidden_directions), std::string(binllm::hidden_squares)};
    v("hidden_distance", self.hidden_distance,
      "of hidden states: directions (embedding and all blocks but the last) or squares (all blocks but the last, and "
      "the last norm)",
      words);
  }
  /// A method's loss, but for what the command line `given` says itself. A teacher for which neither says anything has
  /// half of the loss.
  void complete(const binllm::LossSettings& published, const GivenFlags& given) {
    const binllm::LossSettings own = settings;
    settings = published;
    if (!given.has("hidden_distance")) hidden_distance = published.hidden_distance;
    const auto keep = [&](std::string_view member, auto binllm::LossSettings::*number) {
      if (given.has(member)) settings.*number = own.*number;
    };
    keep("distillation", &binllm::LossSettings::distillation);
    keep("temperature", &binllm::LossSettings::temperature);
    keep("distillation_weight", &binllm::LossSettings::distillation_weight);
    keep("per_sequence", &binllm::LossSettings::per_sequence);
    keep("ambiguity", &binllm::LossSettings::ambiguity);
    keep("hidden_states", &binllm::LossSettings::hidden_states);
    const bool silent = !given.has("distillation") && !given.has("hidden_states") && !published.wants_teacher();
    if (!teacher.empty() && silent) settings.distillation = 0.5;
    settings.hidden_distance =
        hidden_distance == binllm::hidden_squares ? binllm::hidden_squares : binllm::hidden_directions;
    temperature_given = given.has("temperature");
    refuse_idle(given);
  }
  bool temperature_given = false;

 private:
  /// Of settings that are complete. Errors: config_inconsistent.
  void refuse_idle(const GivenFlags& given) const {
    if (settings.distillation == 0) {
      given.refuse({"temperature", "distillation_weight", "per_sequence", "ambiguity"}, "--distillation above 0",
                   "0: a teacher's predictions are not wanted");
    }
    if (settings.hidden_states == 0)
      given.refuse({"hidden_distance"}, "--hidden-states above 0", "0: a teacher's hidden states are not wanted");
  }
};

/// The student, as far as it matters to a teacher.
struct Student {
  const binllm::ModelConfig& config;
  const binllm::TokenStream& corpus;
  const binllm::Tokenizer& tokenizer;
  binllm::Index context;
  fs::path start{};  ///< the model that it was made of, which teaches where no other is named; empty: none does
};

/// Whom a training learns from: found and checked, not opened yet.
class Learning {
 public:
  /// `flags` are completed. Errors: those of check_loss, of the teacher's files and of open_teacher_cache;
  /// config_inconsistent for a teacher with another tokenizer, and for one of whom nothing is wanted.
  Learning(const LossFlags& flags, const Student& student);

  [[nodiscard]] bool alone() const noexcept { return !settings_.wants_teacher(); }
  /// "models/big (llama): 0.5 of its predictions", empty where the student learns alone.
  [[nodiscard]] std::string description() const;
  [[nodiscard]] const binllm::LossForecast& forecast() const noexcept { return forecast_; }
  /// For run.json: who teaches, by the bytes of the files, and by which numbers. Reads all of them.
  [[nodiscard]] Json record() const;
  /// Loads the teacher. Errors: those of AnyModel::open.
  [[nodiscard]] binllm::LearnFrom open(const binllm::AnyDevice& device) const;

 private:
  binllm::LossSettings settings_;
  fs::path model_, cache_file_;
  binllm::LossForecast forecast_;
};

}  // namespace program
