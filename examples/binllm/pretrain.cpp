// SPDX-License-Identifier: MIT
#include "pretrain.hpp"

#include "command.hpp"
#include "memory_report.hpp"
#include "progress.hpp"
#include "training_flags.hpp"

#include <binllm/core/process_memory.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/run.hpp>
#include <binllm/tokenizer/byte.hpp>
#include <binllm/train/pretrain.hpp>

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
DryRun forecast(const Options& o, const binllm::Llama<float>& model, const binllm::TokenStream& corpus,
                const binllm::TokenStream* validation, std::size_t resident) {
  check_tokens("pretrain", corpus, model.config);
  if (validation != nullptr) check_tokens("pretrain", *validation, model.config);
  const binllm::Batches batches(corpus, o.training.batch, o.training.context, o.training.seed);
  return {.config = model.config,
          .parameters = binllm::parameter_count(model),
          .tokens_per_step = batches.tokens_per_step(),
          .steps = binllm::training_steps(o.training, batches),
          .training = binllm::forecast_training_memory(model.config, binllm::Dense{}, o.training, validation),
          .resident = resident};
}

void run(Options& o) {
  o.common.apply();
  o.training.check();
  o.training.seed = o.common.seed;
  const auto tokenizer =
      !o.tokenizer.empty() || !o.start.empty() ? choose_tokenizer(o.tokenizer, o.start) : binllm::byte_tokenizer();
  const auto corpus = o.text.load(tokenizer, binllm::Split::train, o.common.seed,
                                  static_cast<std::size_t>(std::max<binllm::Index>(o.training.tokens, 1 << 20)) + 4096);
  const auto validation = validation_stream(o, tokenizer);

  const std::size_t resident = binllm::resident_bytes();
  auto model = [&] {
    if (!o.start.empty()) return binllm::load_model<binllm::Llama<float>>(o.start);
    binllm::Llama<float> fresh(o.size.config(tokenizer, o.training.context));
    binllm::initialise(fresh, o.common.seed);
    return fresh;
  }();
  if (validation) {
    binllm::check_perplexity(model.config, *validation,
                             {.context = o.training.context, .max_windows = o.validation_windows});
  }
  if (o.dry_run) return print(forecast(o, model, corpus, validation ? &*validation : nullptr, resident), o.common.json);
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
                                {"text", to_json(corpus)},
                                {"training", to_json(o.training)}};
  if (validation) config["validation"] = to_json(*validation);
  binllm::RunFolder folder(o.out, config.dump(),
                           {.resume = o.checkpoints.resume, .checkpoint_every = o.checkpoints.every});
  Progress progress(&folder, o.common.json);
  progress.say(fmt::format("pretrain: {} parameters, {} tokens of text, {} threads -> {}",
                           binllm::parameter_count(model), corpus.size(), binllm::thread_pool().size(),
                           o.out.string()));
  const double loss = binllm::pretrain(model, corpus, o.training, validation ? &*validation : nullptr, &progress);
  binllm::save(model, o.out, {.tokenizer = &tokenizer});

  nlohmann::ordered_json result{{"model", o.out.string()}, {"last_loss", loss}};
  if (validation)
    result["validation_nll"] =
        binllm::evaluate_perplexity(model, *validation,
                                    {.context = o.training.context, .max_windows = o.validation_windows})
            .nll;
  result["peak_resident_bytes"] = binllm::peak_resident_bytes();
  if (o.common.json) {
    fmt::print("{}\n", result.dump());
  } else {
    fmt::print("model            {}\n", o.out.string());
    if (validation)
      fmt::print("validation nll   {:.4f} (context {})\n", result["validation_nll"].get<double>(), o.training.context);
    fmt::print("peak memory      {}\n", in_megabytes(result["peak_resident_bytes"].get<std::size_t>()));
  }
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
  o->common.add_to(command);
  command.callback([o] { run(*o); });
}

}  // namespace program
