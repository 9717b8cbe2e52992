// SPDX-License-Identifier: MIT
#include "commands.hpp"

#include <binllm/core/steady_seconds.hpp>
#include <binllm/data/calibration.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/json_lines.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/methods/post_training/any_method.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace program {

namespace {

/// The flags of all methods, each once.
struct MethodFlags {
  struct Shared {
    std::string help, defaults;
    bool is_flag;
  };
  static constexpr std::string_view seed = "seed";
  std::vector<std::string> order;
  std::map<std::string, Shared> shared;
  std::map<std::string, std::string> values;
  std::map<std::string, bool> flags, unset;  ///< unset: those that some method has by itself

  MethodFlags() {
    for (const auto& entry : binllm::post_training_table()) {
      for (const auto& [name, value, help, is_flag] : entry.options) {
        if (name == seed) continue;  // the command's own
        auto& [known, defaults, flag] = shared[name];
        if (known.empty()) order.push_back(name), known = help, flag = is_flag;
        defaults += fmt::format("{}{} {}", defaults.empty() ? "" : ", ", entry.name, value);
        is_flag ? static_cast<void>(flags[name]) : static_cast<void>(values[name]);
        if (is_flag && value == "true") unset[name];
      }
    }
  }
  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    for (const std::string& name : self.order) {
      const Shared& flag = self.shared.at(name);
      if (flag.is_flag) {
        v(name, self.flags.at(name), flag.help, any);
        if (self.unset.contains(name)) v("no_" + name, self.unset.at(name), "the opposite", any);
      } else {
        v(name, self.values.at(name), flag.help, shown_as(flag.defaults));
      }
    }
  }
  /// Those that were given.
  [[nodiscard]] std::map<std::string, std::string> words() const {
    std::map<std::string, std::string> words;
    for (const auto& [name, value] : values) {
      if (!value.empty()) words[name] = value;
    }
    for (const auto& [name, value] : flags) {
      if (value) words[name] = "true";
    }
    for (const auto& [name, value] : unset) {
      if (value) words[name] = "false";
    }
    return words;
  }
};

/// A row for each method.
std::string list_of_post_training() {
  std::string text = "| method | what it does | source | text | options |\n|---|---|---|---|---|\n";
  for (const auto& entry : binllm::post_training_table()) {
    std::string options;
    for (const auto& option : entry.options)
      options += fmt::format("{}{} {}", options.empty() ? "" : ", ", flag_name(option.name), option.value);
    text += fmt::format("| {} | {} | {} | {} | {} |\n", entry.name, entry.summary, entry.source,
                        entry.calibrated ? "yes" : "no", options);
  }
  return text;
}

struct QuantizeOptions {
  std::string method{"gptq"};
  MethodFlags words;
  fs::path model;
  std::vector<std::string> text;
  bool built_in = false;
  binllm::CalibrationOptions calibration;
  std::string inputs = "present";
  std::string valid;
  binllm::Index valid_windows = all;
  fs::path out;
  std::string tokenizer;
  DeviceChoice device;
  DryRunFlag dry;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    Flag inputs{any};
    inputs.one_of = {"present", "full"};
    v("method", self.method, "a method after training, as it was published; list: what there is, with its options",
      with_list(list_of_post_training, self.method, names_in(binllm::post_training_table())));
    v("words", self.words, "", any);
    v("model", self.model, "folder of a full-precision model", required());
    v("text", self.text, "text files to calibrate with", any);
    v("built_in", self.built_in, "calibrate with the built-in stories instead", any);
    v("calibration", self.calibration, "", any);
    v("inputs", self.inputs, "what the Hessians are of: inputs behind what is quantised, or in full precision", inputs);
    v("valid", self.valid, "text file to judge by", any);
    v("valid_windows", self.valid_windows, "judge by its first so many windows only", shown_as("all", at_least(1)));
    v("out", self.out, "folder of the quantised model", required());
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("device", self.device, "", any);
    v("dry", self.dry, "", any);
    v("common", self.common, "", any);
  }
  void refuse_idle(const GivenFlags& given) const {
    if (valid.empty()) given.refuse({"valid_windows"}, "--valid beside it", "no text to judge by");
  }
};

/// Tells of each layer as it is done, and keeps a line of JSON of it.
class LayerLog final : public binllm::QuantiseLog {
 public:
  explicit LayerLog(Progress& progress) : progress_(progress) {}
  void layer(const binllm::LayerReport& report) override {
    progress_.say(fmt::format("{:<44} weights {:.5f}  outputs {:.5f}  loss {:.4g}", report.name, report.weight_error,
                              report.output_error, report.loss));
    append({{"layer", report.name},
            {"weights", report.weights},
            {"weight_error", report.weight_error},
            {"output_error", report.output_error},
            {"loss", report.loss},
            {"damping", report.damping},
            {"dead_inputs", report.dead}});
    const auto weights = static_cast<double>(report.weights);
    count_ += weights;
    weight_error_ += weights * report.weight_error;
    output_error_ += weights * report.output_error;
    loss_ += report.loss;
  }
  void remark(std::string_view layer, std::string_view sentence) override {
    progress_.say(fmt::format("{}: {}", layer, sentence));
    append({{"layer", layer}, {"remark", sentence}});
  }
  /// Of all layers, each as often as it has weights.
  [[nodiscard]] double weight_error() const { return weight_error_ / count_; }
  [[nodiscard]] double output_error() const { return output_error_ / count_; }
  [[nodiscard]] double loss() const { return loss_; }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

 private:
  Progress& progress_;
  void append(const Json& line) { lines_.push_back(line.dump()); }

  std::vector<std::string> lines_;
  double count_ = 0, weight_error_ = 0, output_error_ = 0, loss_ = 0;
};

[[nodiscard]] binllm::Tensor<std::int32_t> calibration(const QuantizeOptions& o, const binllm::Tokenizer& tokenizer,
                                                       const binllm::ModelConfig& config) {
  if (o.text.empty() && !o.built_in) return {};
  const auto& [windows, context] = o.calibration;
  const auto text = load_corpus(o.text, o.built_in, tokenizer, o.common.seed, windows * context);
  check_tokens("quantize", text, config);
  return binllm::calibration_windows(text, o.calibration);
}

/// Of options whose context is cut to the model's positions.
[[nodiscard]] binllm::PerplexityOptions evaluation(const QuantizeOptions& o) {
  return {.context = o.calibration.context, .max_windows = o.valid_windows};
}

/// A row for the model in full precision or quantised, where there is a text to judge by.
[[nodiscard]] ResultRow judged(const std::string& name, const binllm::AnyModel& model,
                               const std::optional<binllm::TokenStream>& validation, const QuantizeOptions& o) {
  ResultRow row{.name = name};
  if (!validation) return row;
  const auto [result, speed] = judge(model, *validation, evaluation(o));
  row.nll = result.nll, row.perplexity = result.perplexity, row.tokens_per_second = speed;
  row.windows = result.windows, row.context = result.context;
  return row;
}

/// A method's own value of an option, where it has one of that name.
[[nodiscard]] std::optional<std::string> default_of(std::string_view method, std::string_view name) {
  for (const auto& entry : binllm::post_training_table()) {
    for (const auto& option : entry.options) {
      if (entry.name == method && option.name == name) return option.value;
    }
  }
  return {};
}
/// Flags of a calibration text, where there is none, and of draws, where nothing is drawn. Errors: config_inconsistent.
void refuse_idle(const QuantizeOptions& o, const binllm::AnyPostTrainingMethod& method) {
  const GivenFlags& given = o.common.given;
  if (!method.calibrated() && o.text.empty() && !o.built_in) {
    given.refuse({"windows", "inputs"}, "a text beside it, --text or --built-in", "none");
    if (o.valid.empty()) given.refuse({"context"}, "a text beside it, --text, --built-in or --valid", "none");
  }
  if (!o.built_in && !default_of(o.method, MethodFlags::seed))
    given.refuse({"seed"}, "--built-in, or a method that draws", o.method);
}

/// Its number of bits, or as many as were counted.
[[nodiscard]] double nominal_bits(const QuantizeOptions& o, double counted) {
  const auto words = o.words.words();
  if (const auto given = words.find("bits"); given != words.end()) return std::strtod(given->second.c_str(), nullptr);
  const auto own = default_of(o.method, "bits");
  return own ? std::strtod(own->c_str(), nullptr) : counted;
}

void quantize(QuantizeOptions& o) {
  o.common.apply();
  o.device.apply();
  auto words = o.words.words();
  if (default_of(o.method, MethodFlags::seed)) words[std::string(MethodFlags::seed)] = fmt::format("{}", o.common.seed);
  const auto method = binllm::post_training_method(o.method, words);
  refuse_idle(o, *method);
  const auto tokenizer = choose_tokenizer(o.tokenizer, o.model);
  auto model = binllm::AnyModel::open(o.model, {.device = o.device.chosen, .format = "dense"});
  o.calibration.context = std::min(o.calibration.context, model.config().max_position_embeddings);
  const auto ids = calibration(o, tokenizer, model.config());
  const auto validation = load_validation(o.valid, false, tokenizer, o.common.seed);
  if (validation) {
    check_tokens("quantize", *validation, model.config());
    binllm::check_perplexity(model.config(), *validation, evaluation(o));
  }
  if (method->calibrated() && ids.size() == 0)
    throw binllm::Error(binllm::ErrorId::text_too_short, "quantize", "--text", "windows of tokens to calibrate with",
                        "none");

  binllm::check_may_write(o.out);
  if (o.dry.ends_here(o.common)) return;
  Progress progress(nullptr, o.common.json);
  LayerLog log(progress);
  std::vector<ResultRow> rows{judged("full precision", model, validation, o)};
  const double start = binllm::steady_seconds();
  const binllm::AnyModel quantised = model.quantise_blockwise(
      *method, ids.view(),
      {.inputs = o.inputs == "full" ? binllm::CalibrationInputs::full : binllm::CalibrationInputs::present}, &log);
  const double seconds = binllm::steady_seconds() - start;
  // Nothing stands in the folder before: work that fails leaves nothing that could be taken for a model.
  quantised.save(o.out, {.tokenizer = &tokenizer, .source = o.model});
  binllm::JsonLines file(o.out / "quantize.jsonl", 0);
  for (const std::string& line : log.lines()) file.append(line);
  rows.push_back(judged(o.method, quantised, validation, o));
  add_cost(rows[0], o.model);
  add_cost(rows[1], o.out);

  const auto bits = binllm::bit_counts(o.out);
  Json result{{"model", o.out.string()},
              {"method", o.method},
              {"bits", nominal_bits(o, bits.block_linears_with_scales)},
              {"options", words},
              {"form", quantised.format()},
              {"bits_per_weight", bits.block_linears_with_scales},
              {"weight_error", log.weight_error()},
              {"output_error", log.output_error()},
              {"loss", log.loss()},
              {"seconds", seconds}};
  if (validation)
    result.update({{"nll_before", rows[0].nll},
                   {"nll", rows[1].nll},
                   {"perplexity", rows[1].perplexity},
                   {"validation_windows", rows[1].windows},
                   {"validation_context", rows[1].context}});
  o.device.add_to(result);
  file.append(result.dump());
  if (o.common.json) {
    o.device.add_peaks_to(result);
    fmt::print("{}\n", result.dump());
    return;
  }
  if (validation) fmt::print("{}", markdown_table(rows));
  fmt::print(
      "bits per weight  {:.4f} blocks' linear layers with all that they need, from the bytes of the file\n"
      "error            {:.5f} of the weights' squares, {:.5f} of the outputs'; loss {:.4g}\n"
      "seconds          {:.1f}\npeak memory      {}\n",
      bits.block_linears_with_scales, log.weight_error(), log.output_error(), log.loss(), seconds, o.device.peaks());
}

}  // namespace

void add_quantize(CLI::App& app, std::string& list) {
  add_command(app, list, "quantize", "quantise a trained model without training: rtn, gptq, awq, ...", quantize);
}

}  // namespace program
