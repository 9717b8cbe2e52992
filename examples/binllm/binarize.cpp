// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/core/process_memory.hpp>
#include <binllm/data/batches.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/policy/runtime.hpp>

#include <fmt/core.h>

#include <map>
#include <span>

namespace program {

std::vector<ResultRow> run_recipe(binllm::AnyModel model, const RecipeJob& job, const binllm::AnyDevice& device,
                                  Progress& progress) {
  std::vector<ResultRow> rows;
  const auto add_row = [&](std::string name, const binllm::AnyModel& judged, double sharpness) {
    if (!job.validation) return;
    const auto [result, speed] = judge(judged, *job.validation, job.evaluation(sharpness));
    rows.push_back({std::move(name), result.nll, result.perplexity, 0, 0, speed});
    progress.say(fmt::format("{:<26} nll {:.4f}", rows.back().name, rows.back().nll));
  };
  add_row("full precision", model, 0);
  model = model.binarize(job.recipe);
  add_row("naive sign", model, infinity);
  if (job.has_stage_1()) {
    model.search_channel_scale(job.corpus, job.search, &progress);
    add_row("after stage 1", model, infinity);
  }
  model.train_progressively(job.corpus, job.training, job.validation ? &*job.validation : nullptr, &progress);
  const auto schedule = binllm::RuntimeSchedule::named(job.recipe.schedule);
  const double t = binllm::chunk_sharpness(schedule, job.training.chunks, job.training.chunks);
  add_row(job.recipe.estimator + " with F", model, t);
  const std::size_t with_f = rows.size() - 1;  // of the rows, where there are any
  std::map<std::string, std::string> more{{"t", fmt::format("{}", t)}};
  if (!job.has_stage_1()) more["channel_scale"] = to_string(binllm::ChannelSharing::none);
  model.save(job.out / "binary", {.tokenizer = job.tokenizer, .recipe = more, .source = job.source});

  const bool packs = job.recipe.scale_traits().granularity != binllm::Granularity::group;
  if (packs) {
    const auto packed = model.pack("float");
    packed.save(job.out / "packed", {.tokenizer = job.tokenizer, .source = job.source});
    add_row("packed", packed, infinity);
    if (!device.gpu) add_row("packed, int8 activations", model.pack("int8"), infinity);
  } else {
    add_row("sign, not packed", model, infinity);
    progress.say("group scales cannot be packed: only the binary folder is written");
  }
  for (std::size_t row = 0; row < rows.size(); ++row)
    add_cost(rows[row], row == 0 ? job.source : job.out / (packs && row != with_f ? "packed" : "binary"));
  return rows;
}

namespace {

struct Policies {
  binllm::RecipeNames names;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("estimator", self.names.estimator, binllm::names_of<binllm::ShippedEstimators<float>>(), any);
    v("scale", self.names.scale, binllm::names_of<binllm::ShippedScales<float>>(), shown_as("the estimator's"));
    v("schedule", self.names.schedule, binllm::names_of<binllm::ShippedSchedules>(), shown_as("the estimator's"));
    v("granularity", self.names.granularity, binllm::names_of<binllm::ShippedGranularities>(), any);
    v("channel_scale", self.names.channel_scale, binllm::names_of<binllm::ShippedChannelScales<float>>(), any);
  }
};

struct BinarizeOptions {
  fs::path model;
  std::vector<std::string> text;
  bool built_in = false;
  std::string valid;
  binllm::Index valid_windows = all;
  fs::path out;
  std::string tokenizer;
  Policies recipe;
  binllm::Index channel_scale_steps = 50;
  double channel_scale_learning_rate = 1e-2;
  binllm::Index chunks = 20;
  TrainingFlags training;
  RunFlags run;
  DeviceChoice device;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "folder of a full-precision model", required());
    v("text", self.text, "text files to learn from", any);
    v("built_in", self.built_in, "learn from the built-in stories instead", any);
    v("valid", self.valid, "text file to judge by", any);
    v("valid_windows", self.valid_windows, "judge by its first so many windows only", shown_as("all", at_least(1)));
    v("out", self.out, "folder of the run", required());
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("recipe", self.recipe, "", any);
    v("channel_scale_steps", self.channel_scale_steps, "steps of stage 1; 0: none", at_least(0));
    v("channel_scale_learning_rate", self.channel_scale_learning_rate, "of Adam on log S_t", above(0));
    v("chunks", self.chunks, "chunks of equal data, each with one t", at_least(1));
    v("training", self.training, "", any);
    v("run", self.run, "", any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }
  [[nodiscard]] binllm::ProgressiveOptions progressive() const {
    return {.chunks = chunks, .training = training.options};
  }
  /// Stage 1 sees batches of the same shape, and other windows than the first of stage 2.
  [[nodiscard]] binllm::ChannelScaleOptions search() const {
    const binllm::TrainingOptions& t = training.options;
    return {.steps = channel_scale_steps,
            .batch = t.batch,
            .micro_batch = t.micro_batch,
            .context = t.context,
            .learning_rate = channel_scale_learning_rate,
            .recompute = t.recompute,
            .seed = common.seed + 1};
  }
};

Json effective_config(const BinarizeOptions& o, const RecipeJob& job) {
  Json config{{"command", "binarize"},
              {"model", o.model.string()},
              {"text", record(job.corpus)},
              {"recipe", to_json(o.recipe)},
              {"channel_scale_steps", o.channel_scale_steps},
              {"channel_scale_learning_rate", o.channel_scale_learning_rate},
              {"chunks", o.chunks},
              {"training", o.training.record()}};
  if (job.validation) config["validation"] = record(*job.validation);
  o.device.add_to(config);
  return config;
}

void write_readme(const BinarizeOptions& o, const Json& config, const std::vector<ResultRow>& rows) {
  std::string text = fmt::format("# {} made 1 bit\n\n", o.model.filename().string());
  if (rows.empty()) {
    text += "No validation text was given, so there is no result table.\n\n";
  } else {
    text += fmt::format("Validation text: {}, context {}. {}.\n\n{}\n",
                        o.valid.empty() ? "built-in stories, held out" : o.valid, o.training.options.context,
                        binllm::Perplexity::protocol, markdown_table(rows));
  }
  text += fmt::format("Made by\n\n    {}\n\nwith\n\n```json\n{}\n```\n", command_line(), config.dump(2));
  binllm::AtomicFile file(o.out / "README.md");
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

void binarize(BinarizeOptions& o) {
  o.common.apply();
  o.device.apply();
  o.recipe.names = o.recipe.names.completed();
  const binllm::RecipeNames& recipe = o.recipe.names;
  binllm::TrainingOptions& training = o.training.options;
  const bool by_row = recipe.scale_traits().granularity == binllm::Granularity::row;
  if (!by_row && recipe.sharing() != binllm::ChannelSharing::none && o.channel_scale_steps > 0) {
    throw binllm::Error(binllm::ErrorId::config_inconsistent, "binarize", "--granularity",
                        "row, or --channel-scale-steps 0: stage 1 folds its scales into rows", recipe.granularity);
  }
  training.seed = o.common.seed;
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model);
  const RecipeJob job{.recipe = recipe,
                      .search = o.search(),
                      .training = o.progressive(),
                      .corpus = load_corpus(o.text, o.built_in, tokenizer, o.common.seed, training.tokens),
                      .validation = load_validation(o.valid, o.built_in, tokenizer, o.common.seed),
                      .validation_windows = o.valid_windows,
                      .source = o.model,
                      .out = o.out,
                      .tokenizer = &tokenizer};
  const auto* const validation = job.validation ? &*job.validation : nullptr;
  const binllm::Batches batches(job.corpus, training.batch, training.context, training.seed);
  const binllm::Index steps = binllm::training_steps(training, batches);
  static_cast<void>(binllm::Chunks(steps, o.chunks));

  const std::size_t resident = binllm::resident_bytes();
  auto model = binllm::AnyModel::open(
      o.model, {.device = o.run.dry_run ? binllm::AnyDevice{} : o.device.chosen, .format = "dense"});
  const binllm::ModelConfig& c = model.config();
  if (validation != nullptr) binllm::check_perplexity(c, *validation, job.evaluation(infinity));
  if (o.run.dry_run) {
    check_tokens("binarize", job.corpus, c);
    if (validation != nullptr) check_tokens("binarize", *validation, c);
    const auto forecast = binllm::forecast_recipe(c, recipe, training, validation, model.family());
    DryRun dry{.config = c,
               .parameters = forecast.parameters,
               .tokens_per_step = batches.tokens_per_step(),
               .steps = steps,
               .training = forecast.training,
               .resident = resident};
    if (job.has_stage_1()) dry.channel_scale = forecast.channel_scale;
    return print(dry, o.device, o.common.json);
  }

  const Json config = effective_config(o, job);
  binllm::RunFolder folder(o.out, config.dump(), o.run.folder());
  Progress progress(&folder, o.common.json);
  progress.say(fmt::format("binarize: {} ({} parameters), {} tokens of text, {} -> {}", o.model.string(),
                           model.parameter_count(), job.corpus.size(), o.device.description(), o.out.string()));
  const auto rows = run_recipe(std::move(model), job, o.device.chosen, progress);
  write_readme(o, config, rows);
  if (!o.common.json) {
    fmt::print("{}peak memory {}\n", markdown_table(rows), o.device.peaks());
    return;
  }
  Json result{{"run", o.out.string()}, {"results", to_json(rows)}};
  o.device.add_to(result);
  o.device.add_peaks_to(result);
  fmt::print("{}\n", result.dump());
}

}  // namespace

void add_binarize(CLI::App& app, std::string& list) {
  add_command(app, list, "binarize", "make the linear layers of a pre-trained model 1 bit", binarize);
}

}  // namespace program
