// SPDX-License-Identifier: MIT
#include "command.hpp"
#include "device_choice.hpp"
#include "generate_run.hpp"
#include "interruption.hpp"
#include "model_report.hpp"

#include <binllm/core/mapped_memory.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace program {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  Common common;
  DeviceChoice device;
  ChosenModel model;
  std::vector<std::string> prompts, prompt_files;
  std::string tokenizer, hardness = "inf", head;
  bool stream = true, stats = false;
  binllm::GenerateOptions generate;
};

/// Those of --prompt, then those of --prompt-file, whose last line end is the file's and not the prompt's.
std::vector<std::string> read_prompts(const Options& options) {
  std::vector<std::string> prompts = options.prompts;
  for (const std::string& path : options.prompt_files) {
    const auto file = binllm::MappedMemory::of_file(path);
    std::string text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    if (text.ends_with('\n')) text.pop_back();
    prompts.push_back(std::move(text));
  }
  if (prompts.empty()) {
    throw binllm::Error(binllm::ErrorId::option_out_of_range, "generate", "--prompt, --prompt-file", "one at least",
                        "none");
  }
  return prompts;
}

Json to_json(const binllm::GenerationStatistics& s) {
  return {{"prompt_tokens", s.prompt_tokens},
          {"generated_tokens", s.generated_tokens},
          {"steps", s.steps},
          {"step_tokens", s.step_tokens},
          {"prefill_seconds", s.prefill_seconds},
          {"decode_seconds", s.decode_seconds},
          {"prefill_tokens_per_second", s.prefill_tokens_per_second()},
          {"decode_tokens_per_second", s.decode_tokens_per_second()}};
}

Json to_json(const binllm::DecoderMemory& m) {
  return {{"linear_layers", m.linear_layers},
          {"vocabulary", m.vocabulary},
          {"float_vocabulary", m.float_vocabulary},
          {"norms_and_positions", m.norms_and_positions},
          {"gradients", m.gradients},
          {"key_value_cache", m.key_value_cache},
          {"working", m.working},
          {"total", m.total()}};
}

void print_json(const std::vector<std::string>& prompts, const Generated& generated, const DeviceChoice& device) {
  const binllm::GeneratedTexts& made = generated.texts;
  Json object, results = Json::array();
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto& text = made.texts[i];
    results.push_back({{"prompt", prompts[i]},
                       {"text", text.text()},
                       {"continuation", text.continuation},
                       {"prompt_tokens", text.prompt_tokens},
                       {"generated_tokens", text.continuation_tokens},
                       {"finish", to_string(text.finish)}});
  }
  if (prompts.size() == 1) {
    object["prompt"] = prompts[0];
    object["text"] = made.texts[0].text();
  }
  object["results"] = std::move(results);
  object["statistics"] = to_json(made.statistics);
  object["memory"] = to_json(generated.memory);
  object["instructions"] = binllm::name_of(binllm::instruction_set());
  device.add_to(object);
  device.add_peaks_to(object);
  fmt::print("{}\n", object.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void print_statistics(const binllm::GenerationStatistics& s, const DeviceChoice& device) {
  fmt::print(stderr, "prefill             {} tokens in {:.3f} s: {:.1f} tokens/s\n", s.prompt_tokens, s.prefill_seconds,
             s.prefill_tokens_per_second());
  fmt::print(stderr, "decode              {} tokens in {} steps in {:.3f} s: {:.1f} tokens/s\n", s.step_tokens, s.steps,
             s.decode_seconds, s.decode_tokens_per_second());
  fmt::print(stderr, "generated           {} tokens\n", s.generated_tokens);
  fmt::print(stderr, "device              {}\n", device.description());
  fmt::print(stderr, "instructions        {}\n", binllm::name_of(binllm::instruction_set()));
}

std::string in_units(std::size_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (number < 1e6) return fmt::format("{:.1f} kB", number / 1e3);
  return number < 1e9 ? fmt::format("{:.1f} MB", number / 1e6) : fmt::format("{:.2f} GB", number / 1e9);
}

void print_memory(const binllm::DecoderMemory& m) {
  const auto line = [](const char* what, std::size_t bytes) {
    fmt::print(stderr, "{:<20}{:>12} bytes {:>12}\n", what, bytes, in_units(bytes));
  };
  line("linear layers", m.linear_layers);
  line("vocabulary", m.vocabulary);
  line("float vocabulary", m.float_vocabulary);
  line("norms, positions", m.norms_and_positions);
  if (m.gradients > 0) line("gradients", m.gradients);
  line("key-value cache", m.key_value_cache);
  line("working memory", m.working);
  line("memory in all", m.total());
}

void run(Options options) {
  options.common.apply();
  options.device.apply();
  options.generate.seed = options.common.seed;
  options.generate.hardness = parse_hardness(options.hardness);
  if (!options.head.empty()) options.generate.vocabulary = binllm::vocabulary_precision_named(options.head);
  options.generate.check();
  const GenerateJob job{read_prompts(options), options.generate, options.stream, !options.common.json};
  const auto tokenizer = choose_tokenizer(options.tokenizer, options.model.folder);
  const Generated made = with_device(options.device, [&]<class T, class Device>(Computation<T, Device>) {
    return run_generate<T, Device>(options.model, tokenizer, job);
  });
  if (options.common.json) print_json(job.prompts, made, options.device);
  if (options.stats) {
    print_statistics(made.texts.statistics, options.device);
    print_memory(made.memory);
  }
  pass_interruption_on();
}

void add_sampling(CLI::App& command, binllm::GenerateOptions& options) {
  command.add_option("--temperature", options.temperature, "0: always the most likely token")->capture_default_str();
  command.add_option("--top-k", options.top_k, "draw among so many most likely tokens; 0: among all")
      ->capture_default_str();
  command.add_option("--top-p", options.top_p, "draw among the most likely tokens of this mass; 1: among all")
      ->capture_default_str();
  command.add_option("--repetition-penalty", options.repetition_penalty, "above 1: tokens seen become less likely")
      ->capture_default_str();
  command.add_option("--repetition-window", options.repetition_window, "tokens that the penalty looks back; 0: all")
      ->capture_default_str();
}

}  // namespace

void add_generate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  auto& generate = options->generate;
  CLI::App& command = *app.add_subcommand("generate", "continue prompts");
  options->model.add_to(command);
  command.add_option("--prompt", options->prompts, "text to continue; again for another")->allow_extra_args(false);
  command.add_option("--prompt-file", options->prompt_files, "file whose text is a prompt; again for another")
      ->allow_extra_args(false);
  command.add_option("--max-tokens", generate.max_tokens, "tokens to add at most to each prompt")
      ->capture_default_str();
  add_sampling(command, generate);
  command.add_option("--stop", generate.stop, "text at which to end, not printed; again for another")
      ->allow_extra_args(false);
  command.add_option("--head", options->head, "precision of embedding and head: float, bf16, int8")
      ->default_str("the model's");
  command.add_option("--context", generate.context, "tokens that a text may have; 0: as many as are needed")
      ->capture_default_str();
  command.add_option("--sequences", generate.sequences, "prompts continued at the same time at most")
      ->capture_default_str();
  command.add_flag("--stream,!--no-stream", options->stream,
                   "print text as it is made (default), or when it is complete");
  command.add_flag("--stats", options->stats, "print tokens, time and memory to standard error");
  command.add_option("--hardness", options->hardness, "t of a binary model; inf is Sign")->capture_default_str();
  command.add_option("--tokenizer", options->tokenizer, "'byte' or a SentencePiece file instead of the folder's");
  options->device.add_to(command);
  options->common.add_to(command);
  command.callback([options] { run(*options); });
}

}  // namespace program
