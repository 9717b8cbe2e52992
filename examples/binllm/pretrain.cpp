// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "ranks.hpp"
#include "records.hpp"

#include <binllm/core/error.hpp>
#include <binllm/core/process_memory.hpp>
#include <binllm/data/batches.hpp>
#include <binllm/data/held_out.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <fmt/core.h>

#include <algorithm>

namespace program {

binllm::ModelConfig ModelSize::config(const binllm::Tokenizer& tokenizer, binllm::Index context,
                                      const GivenFlags& given) const {
  binllm::ModelConfig c;
  c.vocab_size = tokenizer.vocab_size();
  c.hidden_size = dim;
  c.intermediate_size = hidden;
  c.num_hidden_layers = layers;
  c.num_attention_heads = heads;
  binllm::ConfigKeys keys;
  binllm::with_named<binllm::ShippedFamilies>("pretrain", "--family", family, [&]<class A>() { keys = A::keys; });
  const bool one_for_each = keys.num_key_value_heads.empty();
  if (one_for_each && kv_heads != 0 && kv_heads != heads)
    given.refuse({"kv_heads"}, "0: the family has as many as query heads", fmt::format("{}", kv_heads));
  c.num_key_value_heads = kv_heads == 0 || one_for_each ? heads : kv_heads;
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
  RanksFlags ranks;
  DeviceChoice device;
  Common common;

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
    v("ranks", self.ranks, "", any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }
  void refuse_idle(const GivenFlags& given) const {
    if (!model.empty())
      given.refuse({"family", "dim", "hidden", "layers", "heads", "kv_heads"}, "no --model, which has a shape", model);
    records.refuse_idle(given, valid, built_in);
    if (overfit_batch) {
      given.refuse({"valid", "valid_windows", "held_out", "evaluate_every", "evaluate_windows"},
                   "a training without --overfit-batch", "one batch, which nothing is judged by");
    }
    run.refuse_idle(given, out);
  }
};

/// Of one batch by heart, what is as good as nothing.
constexpr double overfit_loss = 0.1;

/// All that there is to learn is one batch.
TrainingText one_batch(const binllm::TrainingOptions& training, const binllm::TokenStream& corpus,
                       const binllm::Tokenizer& tokenizer) {
  const binllm::Index tokens = std::min(corpus.size(), training.batch * training.context + 1);
  return {binllm::part_of(corpus, 0, tokens, tokenizer), std::nullopt, {}};
}

void pretrain(PretrainOptions& o) {
  o.ranks.apply(o.common, o.device, o.run.dry.dry_run);
  o.ranks.refuse_idle(o.common.given);
  const binllm::TrainingOptions& training = o.training.options;
  o.training.complete(o.common.seed, o.valid_windows);
  o.training.choose_optimiser(o.common.given);
  o.ranks.check(training);
  const bool from_folder = !o.model.empty();
  const auto tokenizer =
      from_folder || !o.tokenizer.empty() ? choose_tokenizer(o.tokenizer, o.model) : binllm::byte_tokenizer();
  if (o.overfit_batch && training.tokens == 0) o.training.options.tokens = 300 * training.batch * training.context;
  auto whole = load_corpus(o.text, o.built_in, tokenizer, o.common.seed, training.tokens);
  const TrainingText text =
      o.overfit_batch ? one_batch(training, whole, tokenizer)
                      : training_text(std::move(whole), load_validation(o.valid, o.built_in, tokenizer, o.common.seed),
                                      o.valid, o.records, o.common.given, o.loss.teacher, training.context, tokenizer);
  const binllm::TokenStream& corpus = text.corpus;
  const auto* const validation = text.validation ? &*text.validation : nullptr;
  const binllm::PerplexityOptions evaluation{.context = training.context, .max_windows = o.valid_windows};

  const std::size_t resident = binllm::resident_bytes();
  std::optional<binllm::AnyModel> given;
  if (from_folder) {
    const binllm::AnyDevice device = o.run.dry.dry_run ? binllm::AnyDevice{} : o.device.chosen;
    given = binllm::AnyModel::open(o.model, {.device = device, .format = "dense"});
  }
  const binllm::ModelConfig c = given ? given->config() : o.size.config(tokenizer, training.context, o.common.given);
  const std::string family(given ? given->family() : o.size.family);
  const binllm::Index parameters = binllm::parameters_of(c, family);
  o.loss.complete({}, o.common.given);
  const Learning learning(o.loss, {c, corpus, tokenizer, training.context});
  check_tokens("pretrain", corpus, c);
  if (validation != nullptr) {
    check_tokens("pretrain", *validation, c);
    binllm::check_perplexity(c, *validation, evaluation);
  }
  const SamplePlan samples = sample_plan(o.records, text, tokenizer, c);
  const binllm::Batches batches(corpus, training.batch, training.context, training.seed);
  const binllm::Index steps = binllm::training_steps(training, batches);

  Json config{{"command", "pretrain"},
              {"model",
               {{"start", o.model},
                {"parameters", parameters},
                {"dim", c.hidden_size},
                {"hidden", c.intermediate_size},
                {"layers", c.num_hidden_layers},
                {"heads", c.num_attention_heads},
                {"kv_heads", c.num_key_value_heads}}},
              {"tokenizer", tokenizer.name()},
              {"text", record(corpus)},
              {"training", o.training.record()}};
  // Absent for the first family, so that runs from before there were others can be resumed.
  if (family != binllm::default_family().name) config["model"]["family"] = family;
  if (!learning.alone()) config["learning"] = learning.record();
  if (validation != nullptr) config["validation"] = record(*validation, o.valid_windows);
  config["identity"] = identity(o.model, tokenizer);
  o.device.add_to(config);
  o.ranks.add_to(config);
  o.ranks.require_same(config, training);
  if (o.ranks.writes()) binllm::RunFolder::check(o.out, config.dump(), o.run.folder("model/start"));
  if (o.run.dry.dry_run) {
    print({.config = c,
           .parameters = parameters,
           .tokens_per_step = batches.tokens_per_step(),
           .steps = steps,
           .training = binllm::forecast_pretraining(c, training, validation, family, learning.forecast(),
                                                    o.ranks.forecast(), o.device.forecast_precision()),
           .resident = resident,
           .learns_from = learning.description(),
           .ranks = o.ranks.forecast()},
          o.device, o.common.json);
    return;
  }

  auto model = given ? *std::move(given) : binllm::AnyModel::random(c, o.common.seed, o.device.chosen, family);
  const binllm::LearnFrom loss = learning.open(o.device.chosen);
  std::optional<KeptRun> kept;
  if (o.ranks.writes()) {
    kept.emplace(o.out, config, o.run.folder("model/start"), samples, tokenizer,
                 validation != nullptr && training.evaluate_every > 0);
  } else {
    kept.emplace();
  }
  const binllm::SaveOptions saved{.tokenizer = &tokenizer, .source = o.model};
  if (kept->records() != nullptr) kept->records()->follow(model, saved);
  Progress progress(&kept->log(), o.common.json || !o.ranks.writes());
  progress.say(fmt::format("pretrain: {} parameters, {} tokens of text, {}{} -> {}", parameters, corpus.size(),
                           o.device.description(), o.ranks.description(), o.out.string()));
  if (!learning.alone()) progress.say(fmt::format("learns from {}", learning.description()));
  progress.say(o.overfit_batch ? "learns one batch by heart" : text.said());
  const double last_loss = progress.interruptible(
      [&](auto* log) { return model.pretrain(corpus, training, validation, log, loss, o.ranks.parallel()); });
  if (o.ranks.writes()) model.save(o.out, saved);
  std::optional<binllm::Perplexity> judged;
  std::vector<ResultRow> rows;
  if (validation != nullptr) {
    const Judgement judgement = judge(model, *validation, evaluation, o.ranks.ranks);
    judged = judgement.result;
    rows.push_back(row_of("trained", judgement));
  }
  if (!o.ranks.writes()) return;
  if (validation != nullptr) {
    add_cost(rows.back(), o.out);
    if (auto row = best_row(o.out, kept->records()->best(), *validation, evaluation, o.device))
      rows.push_back(std::move(*row));
  }
  write_results(o.out, fmt::format("A model of {} parameters", parameters), text.judged_by, rows, config);
  if (o.overfit_batch && !(last_loss < overfit_loss)) {
    throw binllm::Error(binllm::ErrorId::training_diverged, "pretrain", "--overfit-batch",
                        fmt::format("a loss below {} of one batch by heart", overfit_loss),
                        fmt::format("{:.4f}: try more steps (--tokens) or another --learning-rate", last_loss));
  }

  if (!o.common.json) {
    fmt::print("model            {}\n", o.out.string());
    if (o.overfit_batch) fmt::print("one batch        loss {:.4f}, by heart\n", last_loss);
    if (judged)
      fmt::print("validation nll   {:.4f} ({} windows of {})\n", judged->nll, judged->windows, judged->context);
    fmt::print("peak memory      {}\n", o.device.peaks());
    return;
  }
  Json result{{"model", o.out.string()}, {"last_loss", last_loss}};
  if (judged) {
    result["validation_nll"] = judged->nll;
    result["validation_windows"] = judged->windows;
    result["validation_context"] = judged->context;
  }
  o.device.add_to(result);
  o.ranks.add_to(result);
  o.device.add_peaks_to(result);
  fmt::print("{}\n", result.dump());
}

}  // namespace

void add_pretrain(CLI::App& app, std::string& list) {
  add_command(app, list, "pretrain", "train a model in full precision, from scratch or on from another", pretrain);
}

}  // namespace program
