// SPDX-License-Identifier: MIT
#include "pretrain.hpp"

#include "command.hpp"
#include "device_choice.hpp"
#include "memory_report.hpp"
#include "pretrain_run.hpp"
#include "progress.hpp"
#include "training_flags.hpp"

#include <binllm/core/process_memory.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/run.hpp>
#include <binllm/tokenizer/byte.hpp>
#include <binllm/train/forecast.hpp>

#include <fmt/core.h>

namespace program {

binllm::LlamaConfig ModelSize::config(const binllm::Tokenizer& tokenizer, binllm::Index context) const {
  binllm::LlamaConfig c;
  c.vocab_size = tokenizer.vocab_size();
  c.hidden_size = dim;
  c.intermediate_size = hidden;
  c.num_hidden_layers = layers;
  c.num_attention_heads = heads;
  c.num_key_value_heads = kv_heads == 0 ? heads : kv_heads;
  if (heads < 1 || dim % heads != 0) {
    throw binllm::Error(binllm::ErrorId::config_inconsistent, "pretrain", "--heads",
                        fmt::format("a divisor of --dim {}", dim), fmt::format("{}", heads));
  }
  c.head_dim = dim / heads;
  c.max_position_embeddings = context;
  c.bos_token_id = tokenizer.bos();
  c.eos_token_id = tokenizer.eos();
  c.check();
  return c;
}

namespace {

struct Options {
  Common common;
  DeviceChoice device;
  TextSource text;
  std::string validation, tokenizer, start;
  fs::path out;
  binllm::Index validation_windows = std::numeric_limits<binllm::Index>::max();
  ModelSize size;
  binllm::TrainingOptions training = binllm::TrainingOptions::small_model();
  CheckpointFlags checkpoints;
  bool dry_run = false;
};

std::optional<binllm::TokenStream> validation_stream(const Options& o, const binllm::Tokenizer& tokenizer) {
  if (!o.validation.empty())
    return TextSource{{o.validation}, false}.load(tokenizer, binllm::Split::held_out, o.common.seed, 0);
  if (o.text.built_in)
    return TextSource{{}, true}.load(tokenizer, binllm::Split::held_out, o.common.seed, std::size_t{1} << 18);
  return std::nullopt;
}

/// What the run would take; the model is at hand because reading it is part of checking the input.
DryRun forecast(const binllm::Llama<float>& model, const PretrainJob& job, std::size_t resident) {
  check_tokens("pretrain", job.corpus, model.config);
  if (job.validation) check_tokens("pretrain", *job.validation, model.config);
  const binllm::Batches batches(job.corpus, job.training.batch, job.training.context, job.training.seed);
  return {.config = model.config,
          .parameters = binllm::parameter_count(model),
          .tokens_per_step = batches.tokens_per_step(),
          .steps = binllm::training_steps(job.training, batches),
          .training = binllm::forecast_training_memory(model.config, binllm::Dense{}, job.training,
                                                       job.validation ? &*job.validation : nullptr),
          .resident = resident};
}

void run(Options& o) {
  o.common.apply();
  o.device.apply();
  o.training.check();
  o.training.seed = o.common.seed;
  const auto tokenizer =
      !o.tokenizer.empty() || !o.start.empty() ? choose_tokenizer(o.tokenizer, o.start) : binllm::byte_tokenizer();
  const PretrainJob job{
      o.training,
      o.text.load(tokenizer, binllm::Split::train, o.common.seed,
                  static_cast<std::size_t>(std::max<binllm::Index>(o.training.tokens, 1 << 20)) + 4096),
      validation_stream(o, tokenizer),
      o.validation_windows,
      o.out,
      &tokenizer};

  const std::size_t resident = binllm::resident_bytes();
  auto model = [&] {
    if (!o.start.empty()) return binllm::load_model<binllm::Llama<float>>(o.start);
    binllm::Llama<float> fresh(o.size.config(tokenizer, o.training.context));
    binllm::initialise(fresh, o.common.seed);
    return fresh;
  }();
  if (job.validation) binllm::check_perplexity(model.config, *job.validation, job.evaluation());
  if (o.dry_run) return print(forecast(model, job, resident), o.device, o.common.json);
  nlohmann::ordered_json config{{"command", "pretrain"},
                                {"model",
                                 {{"start", o.start},
                                  {"parameters", binllm::parameter_count(model)},
                                  {"dim", model.config.hidden_size},
                                  {"hidden", model.config.intermediate_size},
                                  {"layers", model.config.num_hidden_layers},
                                  {"heads", model.config.num_attention_heads},
                                  {"kv_heads", model.config.num_key_value_heads}}},
                                {"tokenizer", tokenizer.name()},
                                {"text", to_json(job.corpus)},
                                {"training", to_json(o.training)}};
  if (job.validation) config["validation"] = to_json(*job.validation);
  o.device.add_to(config);
  binllm::RunFolder folder(o.out, config.dump(), o.checkpoints.folder_options());
  Progress progress(&folder, o.common.json);
  progress.say(fmt::format("pretrain: {} parameters, {} tokens of text, {} -> {}", binllm::parameter_count(model),
                           job.corpus.size(), o.device.description(), o.out.string()));
  const PretrainResult made = with_device(o.device, [&]<class T, class Device>(Computation<T, Device>) {
    return run_pretrain<T, Device>(model, job, progress);
  });
  if (!o.common.json) {
    fmt::print("model            {}\n", o.out.string());
    if (made.validation_nll)
      fmt::print("validation nll   {:.4f} (context {})\n", *made.validation_nll, o.training.context);
    fmt::print("peak memory      {}\n", o.device.peaks());
    return;
  }
  nlohmann::ordered_json result{{"model", o.out.string()}, {"last_loss", made.last_loss}};
  if (made.validation_nll) result["validation_nll"] = *made.validation_nll;
  o.device.add_to(result);
  o.device.add_peaks_to(result);
  fmt::print("{}\n", result.dump());
}

}  // namespace

void add_pretrain(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App& command =
      *app.add_subcommand("pretrain", "train a Llama in full precision, from scratch or on from a model");
  command.add_option("--text", o->text.files, "text files to learn from");
  command.add_flag("--built-in", o->text.built_in, "learn from the built-in stories instead");
  command.add_option("--valid", o->validation, "text file to judge by");
  command.add_option("--valid-windows", o->validation_windows, "judge by its first so many windows only")
      ->default_str("all");
  command.add_option("--out", o->out, "folder of the run and the model")->required();
  command.add_option("--model", o->start, "go on from the model in this folder instead of random weights");
  command.add_option("--tokenizer", o->tokenizer, "'byte' (default without --model) or a SentencePiece file");
  command.add_option("--dim", o->size.dim, "width")->capture_default_str();
  command.add_option("--hidden", o->size.hidden, "width of the feed-forward networks")->capture_default_str();
  command.add_option("--layers", o->size.layers, "decoder layers")->capture_default_str();
  command.add_option("--heads", o->size.heads, "query heads")->capture_default_str();
  command.add_option("--kv-heads", o->size.kv_heads, "key-value heads; 0: as many as query heads")
      ->capture_default_str();
  add_training_flags(command, o->training);
  o->checkpoints.add_to(command);
  add_dry_run_flag(command, o->dry_run);
  o->device.add_to(command);
  o->common.add_to(command);
  command.callback([o] { run(*o); });
}

}  // namespace program
