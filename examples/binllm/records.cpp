// SPDX-License-Identifier: MIT
#include "records.hpp"

#include <binllm/core/check.hpp>
#include <binllm/core/error.hpp>
#include <binllm/data/batches.hpp>
#include <binllm/data/held_out.hpp>
#include <binllm/infer/texts.hpp>
#include <binllm/io/containers/prediction_file.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace program {

using binllm::Error;
using binllm::ErrorId;
using binllm::Index;

void RecordFlags::refuse_idle(const GivenFlags& given, const std::string& valid, bool built_in) const {
  const bool elsewhere = !valid.empty() || built_in;
  if (elsewhere)
    given.refuse({"held_out"}, "a training without --valid and --built-in", valid.empty() ? "--built-in" : valid);
  if (!elsewhere && held_out == 0) {
    given.refuse({"valid_windows", "evaluate_every", "evaluate_windows"}, "--valid, or --held-out above 0, beside it",
                 "no text to judge by");
  }
  if (sample_tokens == 0) given.refuse({"sample_prompt"}, "--sample-tokens above 0", "0");
}

TrainingText training_text(binllm::TokenStream corpus, std::optional<binllm::TokenStream> validation,
                           const std::string& valid, const RecordFlags& flags, const GivenFlags& given,
                           const fs::path& teacher, Index context, const binllm::Tokenizer& tokenizer) {
  if (validation) {
    std::string words = valid.empty() ? "built-in stories, held out" : valid;
    return {std::move(corpus), std::move(validation), std::move(words)};
  }
  const Index all_tokens = corpus.size();
  const bool whole = !given.has("held_out") && binllm::PredictionFile::is_one(teacher);
  auto [training, held_out] = binllm::hold_out(corpus, whole ? 0 : flags.held_out, context, tokenizer);
  if (!held_out) return {std::move(training), std::nullopt, {}};
  std::string words = fmt::format("the last {} of {} tokens of the text, held out", held_out->size(), all_tokens);
  return {std::move(training), std::move(held_out), std::move(words)};
}

std::string TrainingText::said() const {
  return judged_by.empty() ? "judged by no text: there is no --valid, and no window of the text is held out"
                           : "judged by " + judged_by;
}

namespace {

/// The first words of a text: some tokens, cut behind the last blank.
std::string opening(const binllm::TokenStream& stream, const binllm::Tokenizer& tokenizer, Index positions) {
  const Index enough = std::clamp<Index>(positions / 2, 1, 16);
  const auto ids = stream.tokens().first(static_cast<std::size_t>(std::min(enough, stream.size())));
  std::string text = tokenizer.decode(ids);
  const std::size_t blank = text.find_last_of(' ');
  if (blank != text.npos && blank > 0) text.resize(blank);
  return text;
}

}  // namespace

SamplePlan sample_plan(const RecordFlags& flags, const TrainingText& text, const binllm::Tokenizer& tokenizer,
                       const binllm::ModelConfig& config) {
  const auto& from = text.validation ? *text.validation : text.corpus;
  SamplePlan plan{flags.sample_prompt, flags.sample_tokens};
  if (plan.prompt.empty()) plan.prompt = opening(from, tokenizer, config.max_position_embeddings);
  const auto ids = binllm::encode_prompt(tokenizer, plan.prompt);
  if (ids.empty()) plan.tokens = 0;  // a text that begins with no word
  if (plan.tokens == 0) return plan;
  if (std::ssize(ids) > config.max_position_embeddings) {
    throw Error(ErrorId::index_out_of_range, "samples", "--sample-prompt",
                fmt::format("at most {} tokens", config.max_position_embeddings), fmt::format("{}", ids.size()));
  }
  binllm::check_token_ids("samples", binllm::View<const std::int32_t>(ids.data(), {std::ssize(ids)}),
                          config.vocab_size);
  return plan;
}

Records::Records(binllm::RunFolder& folder, SamplePlan samples, const binllm::Tokenizer& tokenizer, bool keeps_best)
    : folder_(folder),
      plan_(std::move(samples)),
      tokenizer_(tokenizer),
      keeps_best_(keeps_best),
      samples_(folder.path(), "samples.jsonl"),
      histograms_(folder.path(), "histograms.jsonl") {
  binllm::append_command(folder.path(), command_line());
  if (keeps_best_) {
    const binllm::RunRecord run = binllm::read_run(folder.path());
    if (const auto* best = run.best()) lowest_ = best->judged_by();
  }
}

void Records::follow(const binllm::AnyModel& model, binllm::SaveOptions saved) {
  model_ = &model;
  saved_ = std::move(saved);
}

void Records::look_at(std::string layer, const ChosenLayer& chosen, Index chunks) {
  layer_ = std::move(layer);
  chosen_ = chosen;
  chunks_ = chunks;
}

void Records::report(std::string_view phase, Index step, Index steps, std::span<const binllm::Metric> metrics) {
  folder_.report(phase, step, steps, metrics);
  const auto number = [&](std::string_view name) -> std::optional<double> {
    const auto found = std::find_if(metrics.begin(), metrics.end(), [&](const auto& m) { return m.name == name; });
    return found == metrics.end() ? std::nullopt : std::optional(found->value);
  };
  last_ = {std::string(phase), step, number("t").value_or(0)};
  steps_ = steps;
  if (model_ == nullptr) return;
  auto loss = number("validation_loss_sign");
  if (!loss) loss = number("validation_loss");
  if (loss || step == steps) add_samples(last_);
  if (loss) keep_if_best(*loss);
}

/// With F as it is trained, and with Sign as it will run; a model in full precision is neither.
void Records::add_samples(const Report& report) {
  if (plan_.tokens == 0 || samples_.holds(report.phase, report.step)) return;
  std::vector<double> sharpness{report.t};
  if (report.phase == "progressive" && !std::isinf(report.t)) sharpness.push_back(infinity);  // the phase, no policy
  for (const double t : sharpness) {
    const binllm::GenerateOptions options{.max_tokens = plan_.tokens, .sharpness = t};
    const auto made = model_->generate(tokenizer_, {plan_.prompt}, options).texts.texts.front();
    append(samples_, binllm::RunSample{report.phase, report.step, t, plan_.prompt, made.continuation});
  }
}

void Records::keep_if_best(double loss) {
  if (!keeps_best_ || std::isnan(loss) || (lowest_ && loss >= *lowest_)) return;
  lowest_ = loss;
  model_->save(best(), saved_);
}

bool Records::chunk_ends(Index step, Index steps) const {
  if (layer_.empty() || model_ == nullptr || step < 1) return false;
  if (chunks_ == 0) return step == steps;
  const binllm::Chunks chunks(steps, chunks_);
  return step == chunks.first_step(chunks.chunk_of(step - 1) + 1);
}

std::string Records::wants_look(Index step, Index steps) {
  const bool reported = step == last_.step && steps == steps_;
  return reported && chunk_ends(step, steps) && !histograms_.holds(last_.phase, step) ? layer_ + "." : std::string();
}

void Records::look(std::string_view /*phase*/, const binllm::TrainingState& state) {
  const Index chunk = chunks_ == 0 ? 1 : binllm::Chunks(steps_, chunks_).chunk_of(last_.step - 1);
  binllm::WeightHistogram histogram{last_.phase, last_.step, chunk, last_.t, layer_, 0, 0, {}};
  if (count_weights(state, chosen_, histogram)) append(histograms_, histogram);
}

}  // namespace program
