// SPDX-License-Identifier: MIT
#include "command.hpp"
#include "device_choice.hpp"
#include "evaluate_run.hpp"
#include "model_report.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace program {

namespace {

struct EvaluateOptions {
  Common common;
  DeviceChoice device;
  ChosenModel model;
  TextSource text;
  std::string tokenizer, hardness = "inf";
  binllm::PerplexityOptions perplexity{.context = 0};
};

void print(const Judgement& judgement, const EvaluateOptions& options) {
  const binllm::Perplexity& result = judgement.result;
  const double speed = static_cast<double>(result.scored) / judgement.seconds;
  if (options.common.json) {
    nlohmann::ordered_json line{
        {"tokens", result.tokens}, {"scored", result.scored}, {"nll", result.nll}, {"perplexity", result.perplexity}};
    if (std::isfinite(result.bits_per_byte)) {
      line["bits_per_byte"] = result.bits_per_byte;
    } else {
      line["bits_per_byte"] = nullptr;
    }
    line["tokens_per_second"] = speed;
    line["protocol"] = binllm::Perplexity::protocol;
    options.device.add_to(line);
    options.device.add_peaks_to(line);
    fmt::print("{}\n", line.dump());
    return;
  }
  fmt::print(
      "tokens         {}\nscored         {}\nnll            {:.4f}\nperplexity     {:.3f}\nbits per byte  "
      "{:.4f}\ntokens/s       {:.0f}\ndevice         {}\npeak memory    {}\nprotocol       {}\n",
      result.tokens, result.scored, result.nll, result.perplexity, result.bits_per_byte, speed,
      options.device.description(), options.device.peaks(), binllm::Perplexity::protocol);
}

void evaluate(EvaluateOptions& options) {
  options.common.apply();
  options.device.apply();
  const auto tokenizer = choose_tokenizer(options.tokenizer, options.model.folder);
  const auto stream = options.text.load(tokenizer, binllm::Split::held_out, options.common.seed, std::size_t{1} << 20);
  auto perplexity = options.perplexity;
  perplexity.hardness = parse_hardness(options.hardness);
  const Judgement judgement = with_device(options.device, [&]<class T, class Device>(Computation<T, Device>) {
    return run_evaluate<T, Device>(options.model, stream, perplexity);
  });
  print(judgement, options);
}

}  // namespace

void add_evaluate(CLI::App& app) {
  const auto options = std::make_shared<EvaluateOptions>();
  CLI::App& command = *app.add_subcommand("evaluate", "perplexity of a model on a text");
  options->model.add_to(command);
  command.add_option("--text", options->text.files, "text file (several are read one after the other)");
  command.add_flag("--built-in", options->text.built_in, "the held-out built-in stories");
  command
      .add_option("--context", options->perplexity.context,
                  "tokens in a window; 0: 256, or the model's positions if they are fewer")
      ->capture_default_str();
  command.add_option("--windows", options->perplexity.max_windows, "only the first so many windows")
      ->default_str("all");
  command.add_option("--batch", options->perplexity.batch, "windows computed at a time")->capture_default_str();
  command.add_option("--hardness", options->hardness, "t of a binary model; inf is Sign")->capture_default_str();
  command.add_option("--tokenizer", options->tokenizer, "'byte' or a SentencePiece file instead of the folder's");
  options->device.add_to(command);
  options->common.add_to(command);
  command.callback([options] { evaluate(*options); });
}

}  // namespace program
