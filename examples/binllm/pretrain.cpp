// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "records.hpp"

#include <binllm/core/error.hpp>
#include <binllm/core/process_memory.hpp>
#include <binllm/data/batches.hpp>
#include <binllm/data/held_out.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <fmt/core.h>

#include <algorithm>

namespace program {

binllm::ModelConfig ModelSize::config(const binllm::Tokenizer& tokenizer, binllm::Index context) const {
  binllm::ModelConfig c;
  c.vocab_size = tokenizer.vocab_size();
  c.hidden_size = dim;
  c.intermediate_size = hidden;
  c.num_hidden_layers = layers;
  c.num_attention_heads = heads;
  binllm::ConfigKeys keys;
  binllm::with_named<binllm::ShippedFamilies>("pretrain", "--family", family, [&]<class A>() { keys = A::keys; });
  c.num_key_value_heads = kv_heads == 0 || keys.num_key_value_heads.empty() ? heads : kv_heads;
  c.rotary_share = keys.rotary_share_if_absent;
  if (heads < 1 || dim % heads != 0) {
    throw binllm::Error(binllm::ErrorId::config_inconsistent, "pretrain", "--heads",
                        fmt::format("a divisor of --dim {}", dim), fmt::format("{}", heads));
  }
  c.head_dim = dim / heads;
  c.max_position_embeddings = context;
  c.bos_token_id = tokenizer.bos();
  if (const auto eos = tokenizer.eos()) c.eos_token_ids = {*eos};
  c.check();
  return c;
}

namespace {

struct PretrainOptions {
  std::vector<std::string> text;
  bool built_in = false;
  std::string valid;
  binllm::Index valid_windows = all;
  fs::path out;
  std::string model, tokenizer;
  ModelSize size;
  LossFlags loss;
  TrainingFlags training;
  bool overfit_batch = false;
  RecordFlags records;
  RunFlags run;
  DeviceChoice device;
  Common common;
  GivenFlags given;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("text", self.text, "text files to learn from", any);
    v("built_in", self.built_in, "learn from the built-in stories instead", any);
    v("valid", self.valid, "text file to judge by", any);
    v("valid_windows", self.valid_windows, "judge by its first so many windows only", shown_as("all", at_least(1)));
    v("out", self.out, "folder of the run and the model", required());
    v("model", self.model, "go on from the model in this folder instead of random weights", any);
    v("tokenizer", self.tokenizer, "'byte' (default without --model), a tokenizer file or a folder with one", any);
    v("size", self.size, "", any);
    v("loss", self.loss, "", any);
    v("training", self.training, "", any);
    v("overfit_batch", self.overfit_batch,
      "learn one batch by heart, in 300 steps without --tokens: can these numbers learn at all?", any);
    v("records", self.records, "", any);
    v("run", self.run, "", any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }
};

/// Of one batch by heart, what is as good as nothing.
constexpr double overfit_loss = 0.1;

/// All that there is to learn is one batch. Errors: config_inconsistent where it was to be judged by another text.
TrainingText one_batch(const PretrainOptions& o, const binllm::TokenStream& corpus,
                       const binllm::Tokenizer& tokenizer) {
  for (const char* flag : {"valid", "held_out"}) {
    if (o.given.has(flag)) {
      throw binllm::Error(binllm::ErrorId::config_inconsistent, "pretrain", flag_name(flag),
                          "a training without --overfit-batch", "--overfit-batch");
    }
  }
  const auto& training = o.training.options;
  const binllm::Index tokens = std::min(corpus.size(), training.batch * training.context + 1);
  return {binllm::part_of(corpus, 0, tokens, tokenizer), std::nullopt, {}};
}

void pretrain(PretrainOptions& o) {
  o.common.apply();
  o.device.apply();
  binllm::TrainingOptions& training = o.training.options;
  training.seed = o.common.seed;
  const bool from_folder = !o.model.empty();
  const auto tokenizer =
      from_folder || !o.tokenizer.empty() ? choose_tokenizer(o.tokenizer, o.model) : binllm::byte_tokenizer();
  if (o.overfit_batch && training.tokens == 0) training.tokens = 300 * training.batch * training.context;
  auto whole = load_corpus(o.text, o.built_in, tokenizer, o.common.seed, training.tokens);
  const TrainingText text =
      o.overfit_batch ? one_batch(o, whole, tokenizer)
                      : training_text(std::move(whole), load_validation(o.valid, o.built_in, tokenizer, o.common.seed),
                                      o.valid, o.records, o.given, o.loss.teacher, training.context, tokenizer);
  const binllm::TokenStream& corpus = text.corpus;
  const auto* const validation = text.validation ? &*text.validation : nullptr;
  const binllm::PerplexityOptions evaluation{.context = training.context, .max_windows = o.valid_windows};

  const std::size_t resident = binllm::resident_bytes();
  const binllm::AnyDevice device = o.run.dry_run ? binllm::AnyDevice{} : o.device.chosen;
  auto model = from_folder ? binllm::AnyModel::open(o.model, {.device = device, .format = "dense"})
                           : binllm::AnyModel::random(o.size.config(tokenizer, training.context), o.common.seed, device,
                                                      o.size.family);
  const binllm::ModelConfig& c = model.config();
  o.loss.complete({}, o.given);
  const Learning learning(o.loss, {c, corpus, tokenizer, training.context});
  if (validation != nullptr) binllm::check_perplexity(c, *validation, evaluation);
  const SamplePlan samples = sample_plan(o.records, text, tokenizer, c);
  if (o.run.dry_run) {
    check_tokens("pretrain", corpus, c);
    if (validation != nullptr) check_tokens("pretrain", *validation, c);
    const binllm::Batches batches(corpus, training.batch, training.context, training.seed);
    print({.config = c,
           .parameters = model.parameter_count(),
           .tokens_per_step = batches.tokens_per_step(),
           .steps = binllm::training_steps(training, batches),
           .training = binllm::forecast_pretraining(c, training, validation, model.family(), learning.forecast()),
           .resident = resident,
           .learns_from = learning.description()},
          o.device, o.common.json);
    return;
  }

  Json config{{"command", "pretrain"},
              {"model",
               {{"start", o.model},
                {"parameters", model.parameter_count()},
                {"dim", c.hidden_size},
                {"hidden", c.intermediate_size},
                {"layers", c.num_hidden_layers},
                {"heads", c.num_attention_heads},
                {"kv_heads", c.num_key_value_heads}}},
              {"tokenizer", tokenizer.name()},
              {"text", record(corpus)},
              {"training", o.training.record()}};
  // Absent for the first family, so that runs from before there were others can be resumed.
  if (model.family() != binllm::default_family().name) config["model"]["family"] = model.family();
  if (!learning.alone()) config["learning"] = learning.record();
  if (validation != nullptr) config["validation"] = record(*validation);
  config["identity"] = identity(o.model, tokenizer);
  o.device.add_to(config);
  const binllm::LearnFrom loss = learning.open(o.device.chosen);
  binllm::RunFolder folder(o.out, config.dump(), o.run.folder("model/start"));
  Records records(folder, samples, tokenizer, validation != nullptr && training.evaluate_every > 0);
  const binllm::SaveOptions saved{.tokenizer = &tokenizer, .source = o.model};
  records.follow(model, saved);
  Progress progress(&records, o.common.json);
  progress.say(fmt::format("pretrain: {} parameters, {} tokens of text, {} -> {}", model.parameter_count(),
                           corpus.size(), o.device.description(), o.out.string()));
  if (!learning.alone()) progress.say(fmt::format("learns from {}", learning.description()));
  progress.say(o.overfit_batch ? "learns one batch by heart" : text.said());
  const double last_loss =
      progress.interruptible([&](auto* log) { return model.pretrain(corpus, training, validation, log, loss); });
  model.save(o.out, saved);
  std::optional<double> nll;
  std::vector<ResultRow> rows;
  if (validation != nullptr) {
    const auto [result, speed] = judge(model, *validation, evaluation);
    nll = result.nll;
    rows.push_back({"trained", result.nll, result.perplexity, 0, 0, speed});
    add_cost(rows.back(), o.out);
    if (auto row = best_row(o.out, records.best(), *validation, evaluation, o.device)) rows.push_back(std::move(*row));
  }
  write_results(o.out, fmt::format("A model of {} parameters", model.parameter_count()), text.judged_by,
                training.context, rows, config);
  if (o.overfit_batch && !(last_loss < overfit_loss)) {
    throw binllm::Error(binllm::ErrorId::training_diverged, "pretrain", "--overfit-batch",
                        fmt::format("a loss below {} of one batch by heart", overfit_loss),
                        fmt::format("{:.4f}: try more steps (--tokens) or another --learning-rate", last_loss));
  }

  if (!o.common.json) {
    fmt::print("model            {}\n", o.out.string());
    if (o.overfit_batch) fmt::print("one batch        loss {:.4f}, by heart\n", last_loss);
    if (nll) fmt::print("validation nll   {:.4f} (context {})\n", *nll, training.context);
    fmt::print("peak memory      {}\n", o.device.peaks());
    return;
  }
  Json result{{"model", o.out.string()}, {"last_loss", last_loss}};
  if (nll) result["validation_nll"] = *nll;
  o.device.add_to(result);
  o.device.add_peaks_to(result);
  fmt::print("{}\n", result.dump());
}

}  // namespace

void add_pretrain(CLI::App& app, std::string& list) {
  add_command(app, list, "pretrain", "train a model in full precision, from scratch or on from another", pretrain);
}

}  // namespace program
