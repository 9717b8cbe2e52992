// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "ranks.hpp"
#include "records.hpp"

#include <binllm/core/process_memory.hpp>
#include <binllm/data/batches.hpp>
#include <binllm/methods/table.hpp>
#include <binllm/policy/runtime.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace program {

namespace {

struct Policies {
  binllm::RecipeNames names;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    using Estimators = binllm::ShippedEstimators<float>;
    using Scales = binllm::ShippedScales<float>;
    using Schedules = binllm::ShippedSchedules;
    using Granularities = binllm::ShippedGranularities;
    using Sharing = binllm::ShippedChannelScales<float>;
    const Flag of_estimator = shown_as("the estimator's");
    v("estimator", self.names.estimator, binllm::names_of<Estimators>(), with_known(names_in<Estimators>()));
    v("scale", self.names.scale, binllm::names_of<Scales>(), with_known(names_in<Scales>(), of_estimator));
    v("schedule", self.names.schedule, binllm::names_of<Schedules>(), with_known(names_in<Schedules>(), of_estimator));
    v("granularity", self.names.granularity, binllm::names_of<Granularities>(), with_known(names_in<Granularities>()));
    v("channel_scale", self.names.channel_scale, binllm::names_of<Sharing>(), with_known(names_in<Sharing>()));
  }
};

std::string list_of_methods() {
  std::string text = std::string(binllm::method_columns) + '\n';
  for (const binllm::MethodEntry& method : binllm::method_table()) text += binllm::method_row(method) + '\n';
  return text;
}

struct BinarizeOptions {
  fs::path model;
  std::vector<std::string> text;
  bool built_in = false;
  std::string valid;
  binllm::Index valid_windows = all;
  fs::path out;
  std::string tokenizer;
  std::string method;
  std::vector<std::string> setting;
  Policies recipe;
  double sign_phase = 0;
  binllm::Index channel_scale_steps = 50;
  double channel_scale_learning_rate = 1e-2;
  binllm::Index chunks = 20;
  LossFlags loss;
  TrainingFlags training;
  RecordFlags records;
  RunFlags run;
  RanksFlags ranks;
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
    v("method", self.method,
      "a method with its numbers: strong for small budgets of tokens, binaryllm for the paper's, or "
      "another that was published; list: what there is",
      with_list(list_of_methods, "the paper's recipe, with numbers for small models",
                names_in(binllm::method_table())));
    v("setting", self.setting, "KEY=VALUE, of the method's kind of linear layer; again for another", repeated());
    v("recipe", self.recipe, "", any);
    v("sign_phase", self.sign_phase, "share of the training, at its end, with signs alone and a clipped slope",
      between(0, 0.5));
    v("channel_scale_steps", self.channel_scale_steps, "steps of stage 1; 0: none", count_from(0));
    v("channel_scale_learning_rate", self.channel_scale_learning_rate, "of Adam on log S_t", above(0));
    v("chunks", self.chunks, "chunks of equal data, each with one t; 0: every step has its own", count_from(0));
    v("loss", self.loss, "", any);
    v("training", self.training, "", any);
    v("records", self.records, "", any);
    v("run", self.run, "", any);
    v("ranks", self.ranks, "", any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }
  void refuse_idle(const GivenFlags& given) const {
    records.refuse_idle(given, valid, built_in);
    run.refuse_idle(given, out);
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

/// "KEY=VALUE" words in place of the method's own. Errors: unknown_name, option_out_of_range.
void apply_settings(const std::vector<std::string>& settings, binllm::FormatWords& words) {
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == setting.npos)
      throw binllm::Error(binllm::ErrorId::option_out_of_range, "binarize", "--setting", "KEY=VALUE", setting);
    const auto word = words.find(setting.substr(0, equals));
    if (word == words.end()) {
      std::string known;
      for (const auto& [key, value] : words) known += (known.empty() ? "" : ", ") + key;
      throw binllm::Error(binllm::ErrorId::unknown_name, "binarize", "--setting",
                          known.empty() ? "nothing: the method has no settings" : "one of " + known,
                          setting.substr(0, equals));
    }
    word->second = setting.substr(equals + 1);
  }
}

/// Signs alone for the last share of a training: the schedule ends early, and the estimator has a slope behind it.
/// Errors: config_inconsistent for estimators that are the sign before, and for a schedule that says it already.
void add_sign_phase(double share, binllm::FormatWords& words) {
  if (share == 0) return;
  using Smooth = binllm::ProgressiveSign<float>;
  using Composed = binllm::ProgressiveThenSign<float>;
  const auto schedule = binllm::RuntimeSchedule::named(words["schedule"]);
  if ((words["estimator"] != Smooth::name && words["estimator"] != Composed::name) || schedule.sign_share > 0) {
    throw binllm::Error(binllm::ErrorId::config_inconsistent, "binarize", "--sign-phase",
                        fmt::format("--estimator {}, and a schedule without a sign phase", Smooth::name),
                        fmt::format("{} with {}", words["estimator"], words["schedule"]));
  }
  words["estimator"] = Composed::name;
  words["schedule"] += fmt::format("{}{}", binllm::detail::sign_mark, share);
}
/// A sign phase in the schedule's own words needs that slope too. Errors: config_inconsistent.
void check_slope_of_signs(const binllm::RecipeNames& recipe) {
  if (binllm::RuntimeSchedule::named(recipe.schedule).sign_share == 0) return;
  if (binllm::RuntimeEstimator<float>::named(recipe.estimator).slope(0.5F, std::numeric_limits<float>::infinity()) > 0)
    return;
  throw binllm::Error(binllm::ErrorId::config_inconsistent, "binarize", "--schedule",
                      fmt::format("--estimator {}, or another that has a slope where t is infinite",
                                  binllm::ProgressiveThenSign<float>::name),
                      fmt::format("{} with {}", recipe.estimator, recipe.schedule));
}
/// Chunks that the sign phase is not a whole number of would not end where it begins. Errors: config_inconsistent.
void check_sign_phase(const ChosenFormat& format, binllm::Index chunks) {
  if (!format.is_binary()) return;
  check_slope_of_signs(format.recipe());
  if (chunks == 0) return;
  const double hard = binllm::RuntimeSchedule::named(format.recipe().schedule).sign_share * static_cast<double>(chunks);
  if (std::abs(hard - std::round(hard)) < 1e-6) return;
  throw binllm::Error(binllm::ErrorId::config_inconsistent, "binarize", "--sign-phase",
                      fmt::format("a whole number of the {} chunks, or --chunks 0", chunks),
                      fmt::format("{} of them", hard));
}

/// The format of the options: the paper's recipe by its policies, or a method's, with what the command line gave.
/// Errors: unknown_name, config_inconsistent, option_out_of_range.
ChosenFormat choose_format(BinarizeOptions& o, const std::optional<binllm::MethodEntry>& method) {
  if (!method) {
    if (!o.setting.empty()) {
      throw binllm::Error(binllm::ErrorId::config_inconsistent, "binarize", "--setting", "a --method that has settings",
                          "none");
    }
    ChosenFormat recipe = ChosenFormat::of(o.recipe.names);
    add_sign_phase(o.sign_phase, recipe.words);
    return recipe;
  }
  ChosenFormat format{std::string(method->format), method->words, fmt::format("{}, trained", method->name)};
  Policies::visit(
      [&](std::string_view policy, const std::string& name, const auto&, const auto&) {
        if (!o.common.given.has(policy)) return;
        if (!format.is_binary()) {
          throw binllm::Error(binllm::ErrorId::config_inconsistent, "binarize", flag_name(policy),
                              "a method of the binary kind, whose policies can be chosen",
                              fmt::format("--method {}", method->name));
        }
        format.words[std::string(policy)] = name;
      },
      o.recipe);
  apply_settings(o.setting, format.words);
  if (!format.is_binary()) {
    o.common.given.refuse({"sign_phase"}, "a method of the binary kind", fmt::format("--method {}", method->name));
  } else {
    add_sign_phase(o.sign_phase, format.words);
    o.recipe.names = format.recipe();
    const std::string row = format.row;
    format = ChosenFormat::of(o.recipe.names);
    format.row = row;
  }
  return format;
}

/// What the method says of stage 1 and of chunks, where the command line does not.
void adopt(BinarizeOptions& o, const binllm::MethodEntry& method) {
  const GivenFlags& given = o.common.given;
  if (!given.has("chunks")) o.chunks = method.published.chunks;
  if (!given.has("channel_scale_steps") && !method.published.channel_search && !given.has("channel_scale"))
    o.channel_scale_steps = 0;
}

/// Stage 1 has its numbers where it has a place, and nowhere else. Errors: config_inconsistent.
void check_stage_1(const BinarizeOptions& o, const ChosenFormat& format) {
  const GivenFlags& given = o.common.given;
  const bool may_search = format.is_binary() && format.recipe().sharing() != binllm::ChannelSharing::none;
  if (!may_search) {
    const char* const wanted = format.is_binary() ? "0, or --channel-scale shared or per-linear"
                                                  : "0: stage 1 is of methods of the binary kind";
    if (o.channel_scale_steps > 0)
      given.refuse({"channel_scale_steps"}, wanted, fmt::format("{}", o.channel_scale_steps));
  }
  if (!may_search || o.channel_scale_steps == 0)
    given.refuse({"channel_scale_learning_rate"}, "a stage 1 that it is of", "none");
  if (!may_search || o.channel_scale_steps == 0) return;
  if (format.recipe().scale_traits().granularity != binllm::Granularity::row) {
    throw binllm::Error(binllm::ErrorId::config_inconsistent, "binarize", "--granularity",
                        "row, or --channel-scale-steps 0: stage 1 folds its scales into rows",
                        format.recipe().granularity);
  }
}
/// The numbers of its optimiser. A published warm-up is cut to a tenth of a short run.
void adopt(binllm::TrainingOptions& training, const binllm::OptimiserSettings& published, const GivenFlags& given,
           binllm::Index steps) {
  const auto take = [&](std::string_view member, auto& number, auto method) {
    if (!given.has(member)) number = method;
  };
  take("learning_rate", training.learning_rate, published.learning_rate);
  take("last_learning_rate", training.last_learning_rate, published.last_learning_rate);
  take("warmup", training.warmup, std::min(published.warmup, steps / 10));
  take("clip", training.clip, published.clip);
  take("beta1", training.adamw.beta1, published.beta1);
  take("beta2", training.adamw.beta2, published.beta2);
  take("weight_decay", training.adamw.weight_decay, published.weight_decay);
}

Json effective_config(const BinarizeOptions& o, const RecipeJob& job, const Learning& learning) {
  Json config{{"command", "binarize"},
              {"model", o.model.string()},
              {"text", record(job.corpus)},
              {"recipe", to_json(o.recipe)},
              {"channel_scale_steps", o.channel_scale_steps},
              {"channel_scale_learning_rate", o.channel_scale_learning_rate},
              {"chunks", o.chunks},
              {"training", o.training.record()}};
  if (!o.method.empty()) config["method"] = {{"name", o.method}, {"format", job.format.name}};
  if (!job.format.is_binary()) {
    config["method"]["words"] = job.format.words;
    for (const char* key : {"recipe", "channel_scale_steps", "channel_scale_learning_rate"}) config.erase(key);
  }
  if (!learning.alone()) config["learning"] = learning.record();
  if (job.validation) config["validation"] = record(*job.validation, o.valid_windows);
  config["identity"] = identity(o.model, *job.tokenizer);
  o.device.add_to(config);
  o.ranks.add_to(config);
  return config;
}

/// The last linear layer of the first block, as tensors are called.
std::string first_down_projection(const binllm::DecoderNames& names) {
  std::string name = fmt::format("{}.0", names.layers);
  for (const std::string_view part : {names.mlp, names.down})
    if (!part.empty()) name += fmt::format(".{}", part);
  return name;
}

void binarize(BinarizeOptions& o) {
  o.ranks.apply(o.common, o.device, o.run.dry.dry_run);
  o.ranks.refuse_idle(o.common.given);
  std::optional<binllm::MethodEntry> method;
  if (!o.method.empty()) method = binllm::method_named(o.method);
  const ChosenFormat format = choose_format(o, method);
  static_cast<void>(binllm::format_named<float, binllm::Cpu>(format.name, format.words));  // are the words good?
  if (method) adopt(o, *method);
  check_stage_1(o, format);
  check_sign_phase(format, o.chunks);
  if (format.is_binary()) o.recipe.names = format.recipe();
  binllm::TrainingOptions& training = o.training.options;
  o.training.complete(o.common.seed, o.valid_windows);
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model);
  TrainingText text = training_text(load_corpus(o.text, o.built_in, tokenizer, o.common.seed, training.tokens),
                                    load_validation(o.valid, o.built_in, tokenizer, o.common.seed), o.valid, o.records,
                                    o.common.given, o.loss.teacher, training.context, tokenizer);
  const binllm::TokenStream& corpus = text.corpus;
  const binllm::Batches batches(corpus, training.batch, training.context, training.seed);
  const binllm::Index steps = binllm::training_steps(training, batches);
  if (method) adopt(training, method->published.optimiser, o.common.given, steps);
  o.training.choose_optimiser(o.common.given);
  o.ranks.check(training);
  static_cast<void>(binllm::Chunks(steps, o.chunks == 0 ? steps : o.chunks));
  o.loss.complete(method ? method->published.loss : binllm::LossSettings{}, o.common.given);
  RecipeJob job{.format = format,
                .search = o.search(),
                .training = o.progressive(),
                .corpus = corpus,
                .validation = text.validation,
                .validation_windows = o.valid_windows,
                .source = o.model,
                .out = o.out,
                .tokenizer = &tokenizer,
                .parallel = o.ranks.parallel()};
  const auto* const validation = job.validation ? &*job.validation : nullptr;
  const binllm::ModelDescription source = binllm::read_config(o.model);
  const binllm::ModelConfig& student = source.config;
  const SamplePlan samples = sample_plan(o.records, text, tokenizer, student);
  const Learning learning(o.loss, {student, job.corpus, tokenizer, training.context, o.model});

  const std::size_t resident = binllm::resident_bytes();
  auto model = binllm::AnyModel::open(
      o.model, {.device = o.run.dry.dry_run ? binllm::AnyDevice{} : o.device.chosen, .format = "dense"});
  const binllm::ModelConfig& c = model.config();
  check_tokens("binarize", job.corpus, c);
  if (validation != nullptr) {
    check_tokens("binarize", *validation, c);
    binllm::check_perplexity(c, *validation, job.evaluation(infinity));
  }
  const Json config = effective_config(o, job, learning);
  o.ranks.require_same(config, training);
  if (o.ranks.writes()) binllm::RunFolder::check(o.out, config.dump(), o.run.folder("model"));
  if (o.run.dry.dry_run) {
    const auto forecast =
        binllm::forecast_quantised(c, format.name, format.words, training, validation, model.family(),
                                   learning.forecast(), o.ranks.forecast(), o.device.forecast_precision());
    DryRun dry{.config = c,
               .parameters = forecast.parameters,
               .tokens_per_step = batches.tokens_per_step(),
               .steps = steps,
               .training = forecast.training,
               .resident = resident,
               .learns_from = learning.description(),
               .ranks = o.ranks.forecast()};
    if (job.has_stage_1()) dry.channel_scale = forecast.channel_scale;
    return print(dry, o.device, o.common.json);
  }

  job.loss = learning.open(o.device.chosen);
  std::optional<KeptRun> kept;
  if (o.ranks.writes()) {
    kept.emplace(o.out, config, o.run.folder("model"), samples, tokenizer,
                 validation != nullptr && training.evaluate_every > 0);
    kept->records()->look_at(first_down_projection(source.family->names),
                             {format.name, format.words, student.hidden_size}, o.chunks);
  } else {
    kept.emplace();
  }
  job.records = kept->records();
  Progress progress(&kept->log(), o.common.json || !o.ranks.writes());
  progress.say(fmt::format("binarize: {} ({} parameters), {} tokens of text, {}{} -> {}", o.model.string(),
                           model.parameter_count(), job.corpus.size(), o.device.description(), o.ranks.description(),
                           o.out.string()));
  if (!learning.alone()) progress.say(fmt::format("learns from {}", learning.description()));
  progress.say(text.said());
  if (!no_histograms().empty()) progress.say(std::string(no_histograms()));
  auto rows = run_recipe(std::move(model), job, o.device.chosen, progress);
  if (!o.ranks.writes()) return;
  if (validation != nullptr) {
    if (auto row = best_row(o.out, kept->records()->best(), *validation, job.evaluation(infinity), o.device))
      rows.push_back(std::move(*row));
  }
  write_results(o.out, fmt::format("{} made 1 bit", o.model.filename().string()), text.judged_by, rows, config);
  if (!o.common.json) {
    fmt::print("{}peak memory {}\n", markdown_table(rows), o.device.peaks());
    return;
  }
  Json result{{"run", o.out.string()}, {"results", to_json(rows)}};
  o.device.add_to(result);
  o.ranks.add_to(result);
  o.device.add_peaks_to(result);
  fmt::print("{}\n", result.dump());
}

}  // namespace

void add_binarize(CLI::App& app, std::string& list) {
  add_command(app, list, "binarize", "make the linear layers of a pre-trained model 1 bit", binarize);
}

}  // namespace program
