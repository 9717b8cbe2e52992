// SPDX-License-Identifier: MIT
#include "learning.hpp"

#include <binllm/core/error.hpp>
#include <binllm/io/containers/prediction_file.hpp>

#include <fmt/core.h>

#include <algorithm>

namespace program {

using binllm::Error;
using binllm::ErrorId;

namespace {

/// Both tokenizers make the same ids of the text's beginning. A teacher without a tokenizer is taken at its word.
void check_same_tokens(const fs::path& teacher, const Student& student) {
  constexpr std::size_t enough = 2000;
  std::optional<binllm::Tokenizer> theirs;
  try {
    theirs = binllm::load_tokenizer(teacher);
  } catch (const Error& error) {
    if (error.id() != ErrorId::file_missing) throw;
    return;
  }
  const auto tokens = student.corpus.tokens();
  const std::string text = student.tokenizer.decode(tokens.first(std::min(tokens.size(), enough)));
  if (theirs->encode(text) == student.tokenizer.encode(text)) return;
  throw Error(ErrorId::config_inconsistent, "loss", "--teacher", "a model of the student's tokenizer",
              fmt::format("{}, whose tokenizer makes other tokens of the text", teacher.string()));
}

Json numbers_of(const binllm::LossSettings& settings) {
  Json object;
  binllm::LossSettings::visit([&](std::string_view member, const auto& value, const auto&,
                                  const auto&) { object[std::string(member)] = value; },
                              settings);
  return object;
}

}  // namespace

Learning::Learning(const LossFlags& flags, const Student& student) : settings_(flags.settings) {
  if (!flags.teacher.empty() && !settings_.wants_teacher()) {
    throw Error(ErrorId::config_inconsistent, "loss", "--teacher", "--distillation or --hidden-states above 0",
                "a teacher of whom nothing is wanted");
  }
  const bool from_cache = binllm::PredictionFile::is_one(flags.teacher);
  if (from_cache) {
    cache_file_ = flags.teacher;
    forecast_.cache = binllm::open_teacher_cache(cache_file_, student.corpus, student.config.vocab_size);
    if (!flags.temperature_given) settings_.temperature = forecast_.cache->temperature();
  }
  // Hidden states are no part of a cache: the model that the student was made of shows its own.
  const bool wants_model = settings_.wants_states() || (settings_.wants_teacher() && !from_cache);
  if (wants_model) model_ = flags.teacher.empty() || from_cache ? student.start : flags.teacher;
  if (!model_.empty()) {
    binllm::check_folder(model_);
    const binllm::ModelDescription description = binllm::read_config(model_);
    forecast_.teacher = description.config;
    forecast_.teacher_family = description.family->name;
  }
  forecast_.settings = settings_;
  binllm::check_loss(settings_, student.config, forecast_.teacher ? &*forecast_.teacher : nullptr,
                     forecast_.cache.get(), student.context);
  if (!model_.empty() && model_ != student.start) check_same_tokens(model_, student);
}

std::string Learning::description() const {
  if (alone()) return {};
  std::string text =
      model_.empty() ? cache_file_.string() : fmt::format("{} ({})", model_.string(), forecast_.teacher_family);
  if (settings_.distillation > 0) {
    text += fmt::format(", {} of the loss its predictions", settings_.distillation);
    if (forecast_.cache) text += fmt::format(", the {} largest from {}", forecast_.cache->top(), cache_file_.string());
  }
  if (settings_.wants_states())
    text += fmt::format(", {} times the {} of its hidden states", settings_.hidden_states, settings_.hidden_distance);
  return text;
}

Json Learning::record() const {
  Json record{{"loss", numbers_of(settings_)}};
  if (!model_.empty()) {
    record["model"] = model_.string();
    record["hash"] = fmt::format("{:016x}", binllm::hash_of_model(model_));
  }
  if (!cache_file_.empty()) {
    const auto header = binllm::PredictionFile(cache_file_).header();
    record["predictions"] = {{"top", header.top},
                             {"teacher", fmt::format("{:016x}", header.teacher)},
                             {"hash", fmt::format("{:016x}", header.records)}};
  }
  return record;
}

binllm::LearnFrom Learning::open(const binllm::AnyDevice& device) const {
  binllm::LearnFrom from{settings_, {}, forecast_.cache};
  if (!model_.empty()) from.teacher = binllm::AnyModel::open(model_, {.device = device}).teacher();
  return from;
}

}  // namespace program
