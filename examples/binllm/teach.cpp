// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/infer/top_predictions.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/folders/teacher_cache.hpp>

#include <fmt/core.h>

#include <chrono>

namespace program {

namespace {

struct TeachOptions {
  ChosenModel model;
  std::vector<std::string> text;
  bool built_in = false;
  binllm::Index tokens = 0;
  fs::path out;
  std::string tokenizer;
  binllm::TopPredictionOptions predictions;
  DeviceChoice device;
  DryRunFlag dry;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "", any);
    v("text", self.text, "text files that a student will learn from", any);
    v("built_in", self.built_in, "the built-in stories instead", any);
    v("tokens", self.tokens, "--tokens of the training, where it learns from the built-in stories",
      between(0, binllm::TrainingOptions::most_tokens));
    v("out", self.out, "file of the predictions", required());
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("predictions", self.predictions, "", any);
    v("device", self.device, "", any);
    v("dry", self.dry, "", any);
    v("common", self.common, "", any);
  }
  void refuse_idle(const GivenFlags& given) const {
    if (!built_in) given.refuse({"tokens", "seed"}, "--built-in, whose stories they choose", "none");
  }
};

void teach(TeachOptions& o) {
  o.common.apply();
  o.device.apply();
  const fs::path& folder = o.model.model;
  o.model.refuse_idle(o.common.given);
  const auto tokenizer = choose_tokenizer(o.tokenizer, folder);
  const auto corpus = load_corpus(o.text, o.built_in, tokenizer, o.common.seed, o.tokens);
  const auto model = o.model.open(o.device);
  check_tokens("teach", corpus, model.config());
  binllm::check_predict_top(model.config(), corpus, o.predictions);
  binllm::check_may_write_file(o.out);
  if (o.dry.ends_here(o.common)) return;
  binllm::TeacherCacheWriter writer(o.out, corpus, model.config().vocab_size, o.predictions,
                                    binllm::hash_of_model(folder));
  const auto start = std::chrono::steady_clock::now();
  model.predict_top(corpus, o.predictions, writer);
  writer.commit();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto& header = writer.header();
  const double speed = static_cast<double>(header.count) / seconds;
  const auto bytes = fs::file_size(o.out);
  if (!o.common.json) {
    fmt::print("predictions    {} tokens, the {} largest of {} words each\nfile           {}, {} a token\n",
               header.count, header.top, header.vocab_size, in_megabytes(bytes), header.record_bytes());
    fmt::print("tokens/s       {:.0f}\npeak memory    {}\n", speed, o.device.peaks());
    return;
  }
  Json line{{"tokens", header.count},
            {"top", header.top},
            {"context", header.context},
            {"temperature", header.temperature},
            {"bytes", bytes},
            {"teacher", fmt::format("{:016x}", header.teacher)},
            {"hash", fmt::format("{:016x}", header.records)},
            {"tokens_per_second", speed}};
  o.device.add_to(line);
  o.device.add_peaks_to(line);
  fmt::print("{}\n", line.dump());
}

}  // namespace

void add_teach(CLI::App& app, std::string& list) {
  add_command(app, list, "teach", "a model's largest predictions for a text in a file, for --teacher", teach);
}

}  // namespace program
