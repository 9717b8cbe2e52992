// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/core/steady_seconds.hpp>
#include <binllm/eval/tasks.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/json_lines.hpp>
#include <binllm/io/folders/protocol_text.hpp>
#include <binllm/io/folders/task_file.hpp>
#include <binllm/ranks/environment.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace program {

namespace {

using binllm::ErrorId;

struct EvaluateOptions {
  ChosenModel model;
  std::vector<std::string> text;
  bool built_in = false;
  std::string protocol{binllm::protocols.front().name};
  binllm::Index context = 0, windows = all, batch = 8;
  std::string tasks;
  fs::path tasks_data, out;
  binllm::Index items = all, max_length = 0;
  std::string bos = "none", cache{"float"};
  double sharpness = infinity;
  std::string tokenizer;
  DeviceChoice device;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    Flag names = any_flag();
    names.one_of = names_in(binllm::protocols);
    auto tasks = names_in(binllm::shipped_tasks);
    tasks.emplace_back("all");
    v("model", self.model, "", any);
    v("text", self.text, "text file (several are read one after the other)", any);
    v("built_in", self.built_in, "the held-out built-in stories", any);
    v("protocol", self.protocol, "how the rows of the file are joined, and how much of them is read", names);
    v("context", self.context,
      "tokens in a window; 0: the protocol's (plain 256, else 2048), or the model's positions if they are fewer",
      count_from(0));
    v("windows", self.windows, "only the first so many windows", shown_as("all", at_least(1)));
    v("batch", self.batch, "windows computed at a time", count_from(1));
    v("cache", self.cache, "say also the perplexity with a key-value cache in this precision: bf16, int8",
      cache_precisions());
    v("tasks", self.tasks, "zero-shot tasks instead of a text, as in boolq,piqa; all: the seven",
      with_known(std::move(tasks)));
    v("tasks_data", self.tasks_data, "folder of the tasks' files NAME.jsonl", any);
    v("items", self.items, "only the first so many items of each task", shown_as("all", at_least(1)));
    v("max_length", self.max_length,
      "tasks: tokens that are read at most, the last ones; 0: 2048, or the model's positions if they are fewer",
      count_from(0));
    names.one_of = {"none", "tokenizer"};
    v("bos", self.bos,
      "tasks: what contexts open with: none, as in lm-evaluation-harness 0.4.2, or tokenizer, its BOS if it adds one",
      names);
    v("out", self.out, "tasks: a file for a line of JSON an item", any);
    v("sharpness", self.sharpness, "t of a binary model; inf is Sign", at_least_or_infinite(0));
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }

  void refuse_idle(const GivenFlags& given) const {
    if (!tasks.empty())
      given.refuse({"protocol", "context", "windows", "batch", "cache"}, "a text: --text or --built-in", "--tasks");
    if (tasks.empty()) given.refuse({"items", "max_length", "bos", "out"}, "--tasks", "a text");
    if (!built_in) given.refuse({"seed"}, "--built-in, of which it chooses the stories", "none");
  }
  /// Either a text or tasks. Errors: option_out_of_range.
  void check_choice() const {
    const bool reads_text = built_in || !text.empty();
    if (tasks.empty() != tasks_data.empty())
      refuse("--tasks, --tasks-data", "both", tasks.empty() ? "--tasks-data alone" : "--tasks alone");
    if (reads_text != tasks.empty())
      refuse("--text, --built-in, --tasks", "exactly one of them", reads_text ? "a text and tasks" : "none");
    const bool plain = protocol == binllm::protocols.front().name;
    if (!plain && text.size() != 1) refuse("--protocol", "one --text file", fmt::format("{}", text.size()));
  }

 private:
  [[nodiscard]] static Flag any_flag() { return {any, false, false, {}, {}}; }
  [[noreturn]] static void refuse(std::string_view option, std::string_view wanted, std::string_view found) {
    throw binllm::Error(ErrorId::option_out_of_range, "evaluate", option, wanted, found);
  }
};

// ---- perplexity

void evaluate_text(EvaluateOptions& o) {
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model.model);
  const binllm::Protocol& protocol = binllm::protocol_named(o.protocol);
  const auto stream =
      protocol.rows == binllm::ProtocolRows::whole
          ? load_text(o.text, o.built_in, tokenizer, binllm::Split::held_out, o.common.seed, std::size_t{1} << 20)
          : binllm::TokenStream::from_string(binllm::read_protocol_text(protocol, o.text.front()), tokenizer);
  const auto model = o.model.open(o.device);
  if (o.context == 0) o.context = std::min(protocol.context, model.config().max_position_embeddings);
  binllm::PerplexityOptions options{.context = o.context,
                                    .batch = o.batch,
                                    .max_windows = std::min(o.windows, protocol.most_windows(o.context)),
                                    .sharpness = o.sharpness};
  const auto cache = binllm::vocabulary_precision_named(o.cache);
  const bool other_cache = cache != binllm::CachePrecision::float32;
  double cached = 0;
  if (other_cache) {  // first, since not every device has it
    options.cache = cache;
    cached = model.evaluate(stream, options).perplexity;
    options.cache = binllm::CachePrecision::float32;
  }
  const auto [result, speed] = judge(model, stream, options);
  const std::string described = fmt::format("{}; {}", protocol.summary, binllm::Perplexity::protocol);
  const bool bos = tokenizer.bos().has_value();
  if (!o.common.json) {
    fmt::print("tokens         {}\n", result.tokens);
    fmt::print("text bytes     {}\n", stream.text_bytes());
    fmt::print("windows        {} of {} tokens\n", result.windows, result.context);
    fmt::print("scored         {}, which stand for {} bytes\n", result.scored, result.bytes);
    fmt::print("nll            {:.4f}\n", result.nll);
    fmt::print("perplexity     {:.3f}\n", result.perplexity);
    if (other_cache)
      fmt::print("cache in {:<5} {:.3f}, {:+.3f} %\n", o.cache, cached, 100 * (cached / result.perplexity - 1));
    fmt::print("bits per byte  {:.4f}\n", result.bits_per_byte);
    fmt::print("tokens/s       {:.0f}\n", speed);
    fmt::print("device         {}\n", o.device.description());
    fmt::print("peak memory    {}\n", o.device.peaks());
    fmt::print("BOS            {}\n", bos ? "the first token of the text" : "none");
    fmt::print("protocol       {}: {}\n", protocol.name, described);
    return;
  }
  Json line{{"tokens", result.tokens},
            {"text_bytes", stream.text_bytes()},
            {"windows", result.windows},
            {"context", result.context},
            {"scored", result.scored},
            {"bytes", result.bytes},
            {"bos", bos},
            {"nll", result.nll},
            {"perplexity", result.perplexity}};
  line["bits_per_byte"] = std::isfinite(result.bits_per_byte) ? Json(result.bits_per_byte) : Json(nullptr);
  if (other_cache) line["cached"] = {{"cache", o.cache}, {"perplexity", cached}};
  line["tokens_per_second"] = speed;
  line["protocol_name"] = protocol.name;
  line["protocol"] = described;
  o.device.add_to(line);
  o.device.add_peaks_to(line);
  fmt::print("{}\n", line.dump());
}

// ---- tasks

/// A task, its items, and the model's answers.
struct JudgedTask {
  const binllm::Task* task;
  std::vector<binllm::TaskItem> items;
  binllm::TaskScores scores{};
  double seconds = 0;

  [[nodiscard]] const binllm::Proportion& quoted() const { return scores.by(task->metric); }
};

/// The tasks of a list "a,b", or all, with their items: what is wrong with a file is to be known before the model runs.
std::vector<JudgedTask> load_tasks(const EvaluateOptions& o) {
  std::vector<JudgedTask> tasks;
  const auto add = [&](const binllm::Task& task) { tasks.push_back({&task, load_task(task, o.tasks_data, o.items)}); };
  if (o.tasks == "all") {
    std::for_each(binllm::shipped_tasks.begin(), binllm::shipped_tasks.end(), add);
    return tasks;
  }
  for (std::string_view rest = o.tasks; !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    add(binllm::task_named(binllm::shipped_tasks, rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return tasks;
}

/// NaN as null.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json to_json(const JudgedTask& judged) {
  const auto& [task, items, scores, seconds] = judged;
  return {{"task", task->name},
          {"items", items.size()},
          {"acc", number(scores.acc.mean)},
          {"acc_stderr", number(scores.acc.standard_error)},
          {"acc_norm", number(scores.acc_norm.mean)},
          {"acc_norm_stderr", number(scores.acc_norm.standard_error)},
          {"quoted", to_string(task->metric)},
          {"seconds", seconds}};
}

/// A line an item.
void write_items(binllm::JsonLines& file, const JudgedTask& judged) {
  for (std::size_t i = 0; i < judged.items.size(); ++i) {
    const binllm::ItemScore& item = judged.scores.items[i];
    file.append(Json{{"task", judged.task->name},
                     {"item", i},
                     {"gold", item.gold},
                     {"choice", item.choice},
                     {"choice_norm", item.choice_norm},
                     {"log_probabilities", item.log_probabilities}}
                    .dump());
  }
}

std::string with_error(const binllm::Proportion& p) {
  return std::isfinite(p.standard_error) ? fmt::format("{:.4f} +- {:.4f}", p.mean, p.standard_error)
                                         : fmt::format("{:.4f}", p.mean);
}

void evaluate_tasks(const EvaluateOptions& o) {
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model.model);
  auto tasks = load_tasks(o);
  if (!o.out.empty()) binllm::check_may_write_file(o.out);
  const auto model = o.model.open(o.device);
  const binllm::TaskOptions options{
      .opening = o.bos == "none" ? binllm::TaskOpening::none : binllm::TaskOpening::tokenizer,
      .scoring = {.max_length = o.max_length, .sharpness = o.sharpness}};
  std::optional<binllm::JsonLines> file;
  if (!o.out.empty()) file.emplace(o.out, 0);
  Json results = Json::array();
  double sum = 0;
  if (!o.common.json)
    fmt::print(
        "| {:<14} | {:>6} | {:>16} | {:>16} | {:>8} | {:>8} |\n|{:-<16}|{:->7}:|{:->17}:|{:->17}:|{:->9}:|{:->9}:|\n",
        "task", "items", "acc", "acc_norm", "quoted", "seconds", "", "", "", "", "", "");
  for (JudgedTask& judged : tasks) {
    const double start = binllm::steady_seconds();
    judged.scores = model.evaluate(tokenizer, judged.items, options);
    judged.seconds = binllm::steady_seconds() - start;
    sum += judged.quoted().mean;
    if (file) write_items(*file, judged);
    results.push_back(to_json(judged));
    if (!o.common.json)
      fmt::print("| {:<14} | {:>6} | {:>16} | {:>16} | {:>8} | {:>8.1f} |\n", judged.task->name, judged.items.size(),
                 with_error(judged.scores.acc), with_error(judged.scores.acc_norm), to_string(judged.task->metric),
                 judged.seconds);
  }
  const double average = sum / static_cast<double>(tasks.size());
  if (!o.common.json) {
    fmt::print("\naverage of the quoted  {:.4f}\n", average);
    fmt::print("BOS                    {}\n", o.bos);
    fmt::print("device                 {}\n", o.device.description());
    fmt::print("peak memory            {}\n", o.device.peaks());
    return;
  }
  Json line{{"tasks", results}, {"average", average}, {"bos", o.bos}};
  o.device.add_to(line);
  o.device.add_peaks_to(line);
  fmt::print("{}\n", line.dump());
}

/// Each rank of a launcher would do all of the work and print it. Errors: config_inconsistent; those of
/// read_environment.
void refuse_ranks() {
  const binllm::RankEnvironment ranks = binllm::read_environment();
  if (ranks.size > 1) {
    throw binllm::Error(ErrorId::config_inconsistent, "evaluate", "ranks",
                        "one process: it is not divided among several",
                        fmt::format("{} of {}", ranks.size, ranks.launcher));
  }
}

void evaluate(EvaluateOptions& o) {
  o.check_choice();
  refuse_ranks();
  o.common.apply();
  o.device.apply();
  o.model.refuse_idle(o.common.given);
  o.tasks.empty() ? evaluate_text(o) : evaluate_tasks(o);
}

}  // namespace

void add_evaluate(CLI::App& app, std::string& list) {
  add_command(app, list, "evaluate", "perplexity of a model on a text, or its answers to zero-shot tasks", evaluate);
}

}  // namespace program
