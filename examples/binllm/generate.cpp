// SPDX-License-Identifier: MIT
#include "command.hpp"
#include "model_report.hpp"

#include <binllm/infer/generate.hpp>
#include <binllm/io/folders/model.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace program {

namespace {

struct Options {
  Common common;
  fs::path model;
  std::string prompt, tokenizer, hardness = "inf";
  binllm::GenerateOptions generate;
};

void run(const Options& options) {
  options.common.apply();
  const auto tokenizer = choose_tokenizer(options.tokenizer, options.model);
  auto generate = options.generate;
  generate.seed = options.common.seed;
  generate.hardness = parse_hardness(options.hardness);
  const std::string text = binllm::with_model<float>(
      options.model, [&](auto model) { return binllm::generate(model, tokenizer, options.prompt, generate); });
  if (options.common.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"prompt", options.prompt}, {"text", text}}.dump(
                           -1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}\n", text);
  }
}

}  // namespace

void add_generate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("generate", "continue a prompt");
  command.add_option("--model", options->model, "model folder: full precision, binary or packed")->required();
  command.add_option("--prompt", options->prompt, "text to continue")->required();
  command.add_option("--max-tokens", options->generate.max_tokens, "tokens to add at most")->capture_default_str();
  command.add_option("--temperature", options->generate.temperature, "0: always the most likely token")
      ->capture_default_str();
  command.add_option("--hardness", options->hardness, "t of a binary model; inf is Sign")->capture_default_str();
  command.add_option("--tokenizer", options->tokenizer, "'byte' or a SentencePiece file instead of the folder's");
  options->common.add_to(command);
  command.callback([options] { run(*options); });
}

}  // namespace program
