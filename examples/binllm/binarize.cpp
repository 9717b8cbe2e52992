// SPDX-License-Identifier: MIT
#include "device_choice.hpp"
#include "memory_report.hpp"
#include "recipe_run.hpp"
#include "training_flags.hpp"

#include <binllm/core/process_memory.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/run.hpp>

#include <fmt/core.h>

namespace program {

namespace {

struct Options {
  Common common;
  DeviceChoice device;
  fs::path model, out;
  TextSource text;
  std::string validation, tokenizer;
  binllm::Index validation_windows = std::numeric_limits<binllm::Index>::max();
  RecipeChoice choice;
  binllm::ChannelScaleOptions search;
  binllm::ProgressiveOptions training;
  CheckpointFlags checkpoints;
  bool dry_run = false;
};

nlohmann::ordered_json effective_config(const Options& o, const binllm::TokenStream& corpus) {
  return {{"command", "binarize"},
          {"model", o.model.string()},
          {"text", to_json(corpus)},
          {"recipe",
           {{"estimator", o.choice.estimator},
            {"scale", o.choice.scale},
            {"granularity", o.choice.granularity},
            {"schedule", o.choice.schedule},
            {"channel_scale", o.choice.channel_scale}}},
          {"channel_scale_steps", o.search.steps},
          {"channel_scale_learning_rate", o.search.learning_rate},
          {"chunks", o.training.chunks},
          {"training", to_json(o.training)}};
}

void write_readme(const Options& o, const nlohmann::ordered_json& config, const std::vector<ResultRow>& rows) {
  std::string text = fmt::format("# {} made 1 bit\n\n", o.model.filename().string());
  if (rows.empty()) {
    text += "No validation text was given, so there is no result table.\n\n";
  } else {
    text += fmt::format("Validation text: {}, context {}. {}.\n\n{}\n",
                        o.validation.empty() ? "built-in stories, held out" : o.validation, o.training.context,
                        binllm::Perplexity::protocol, markdown_table(rows));
  }
  text += fmt::format("Made by\n\n    {}\n\nwith\n\n```json\n{}\n```\n", command_line(), config.dump(2));
  binllm::AtomicFile file(o.out / "README.md");
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

DryRun forecast(const binllm::LlamaConfig& config, const RecipeJob& job, binllm::Index tokens_per_step,
                binllm::Index steps) {
  const std::size_t resident = binllm::resident_bytes();
  check_tokens("binarize", job.corpus, config);
  if (job.validation) check_tokens("binarize", *job.validation, config);
  const RecipeForecast recipe = forecast_recipe(config, job);
  return {.config = config,
          .parameters = recipe.parameters,
          .tokens_per_step = tokens_per_step,
          .steps = steps,
          .training = recipe.training,
          .channel_scale = recipe.channel_scale,
          .resident = resident};
}

void run(Options& o) {
  o.common.apply();
  o.device.apply();
  o.choice.complete();
  o.training.check();
  if (o.choice.granularity != "row" && o.choice.channel_scale != "none" && o.search.steps > 0) {
    throw binllm::Error(binllm::ErrorId::config_inconsistent, "binarize", "--granularity",
                        "row, or --channel-scale-steps 0: stage 1 folds its scales into rows", o.choice.granularity);
  }
  o.training.seed = o.common.seed;
  o.search.seed = o.common.seed + 1;  // other windows than the first of stage 2
  o.search.batch = o.training.batch;
  o.search.micro_batch = o.training.micro_batch;
  o.search.context = o.training.context;
  o.search.recompute = o.training.recompute;
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model);
  RecipeJob job{o.choice,
                o.search,
                o.training,
                o.text.load(tokenizer, binllm::Split::train, o.common.seed,
                            static_cast<std::size_t>(std::max<binllm::Index>(o.training.tokens, 1 << 20)) + 4096),
                std::nullopt,
                o.validation_windows,
                o.out,
                &tokenizer};
  if (!o.validation.empty() || o.text.built_in) {
    job.validation =
        TextSource{o.validation.empty() ? std::vector<std::string>{} : std::vector{o.validation}, o.validation.empty()}
            .load(tokenizer, binllm::Split::held_out, o.common.seed, std::size_t{1} << 18);
  }
  const binllm::Batches batches(job.corpus, o.training.batch, o.training.context, o.training.seed);
  const binllm::Index steps = binllm::training_steps(o.training, batches);
  static_cast<void>(binllm::Chunks(steps, o.training.chunks));
  auto dense = binllm::load_model<binllm::Llama<float>>(o.model);
  if (job.validation) {
    binllm::check_perplexity(dense.config, *job.validation,
                             {.context = o.training.context, .max_windows = o.validation_windows});
  }
  if (o.dry_run) {
    return print(forecast(dense.config, job, batches.tokens_per_step(), steps), o.device, o.common.json);
  }
  auto config = effective_config(o, job.corpus);
  if (job.validation) config["validation"] = to_json(*job.validation);
  o.device.add_to(config);
  binllm::RunFolder folder(o.out, config.dump(), o.checkpoints.folder_options());
  Progress progress(&folder, o.common.json);
  progress.say(fmt::format("binarize: {} ({} parameters), {} tokens of text, {} -> {}", o.model.string(),
                           binllm::parameter_count(dense), job.corpus.size(), o.device.description(), o.out.string()));
  const auto rows = with_device(o.device, [&]<class T, class Device>(Computation<T, Device>) {
    return run_recipe<T, Device>(dense, o.model, job, progress);
  });
  write_readme(o, config, rows);
  if (!o.common.json) {
    fmt::print("{}peak memory {}\n", markdown_table(rows), o.device.peaks());
    return;
  }
  nlohmann::ordered_json result{{"run", o.out.string()}, {"results", to_json(rows)}};
  o.device.add_to(result);
  o.device.add_peaks_to(result);
  fmt::print("{}\n", result.dump());
}

}  // namespace

void add_binarize(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  o->training = binllm::ProgressiveOptions::small_model();
  CLI::App& command = *app.add_subcommand("binarize", "make the linear layers of a pre-trained model 1 bit");
  command.add_option("--model", o->model, "folder of a full-precision model")->required();
  command.add_option("--text", o->text.files, "text files to learn from");
  command.add_flag("--built-in", o->text.built_in, "learn from the built-in stories instead");
  command.add_option("--valid", o->validation, "text file to judge by");
  command.add_option("--valid-windows", o->validation_windows, "judge by its first so many windows only")
      ->default_str("all");
  command.add_option("--out", o->out, "folder of the run")->required();
  command.add_option("--tokenizer", o->tokenizer, "'byte' or a SentencePiece file instead of the folder's");
  command.add_option("--estimator", o->choice.estimator, binllm::names_of<binllm::ShippedEstimators<float>>())
      ->capture_default_str();
  command.add_option("--scale", o->choice.scale, binllm::names_of<binllm::ShippedScales<float>>())
      ->default_str("the estimator's");
  command.add_option("--schedule", o->choice.schedule, binllm::names_of<binllm::ShippedSchedules>())
      ->default_str("the estimator's");
  command.add_option("--granularity", o->choice.granularity, binllm::names_of<binllm::ShippedGranularities>())
      ->capture_default_str();
  command.add_option("--channel-scale", o->choice.channel_scale, "shared (folded away), per-linear or none")
      ->capture_default_str();
  command.add_option("--channel-scale-steps", o->search.steps, "steps of stage 1; 0: none")->capture_default_str();
  command.add_option("--channel-scale-learning-rate", o->search.learning_rate, "of Adam on log S_t")
      ->capture_default_str();
  command.add_option("--chunks", o->training.chunks, "chunks of equal data, each with one t")->capture_default_str();
  add_training_flags(command, o->training);
  o->checkpoints.add_to(command);
  add_dry_run_flag(command, o->dry_run);
  o->device.add_to(command);
  o->common.add_to(command);
  command.callback([o] { run(*o); });
}

}  // namespace program
