// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "text_printer.hpp"

#include <binllm/core/mapped_memory.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <fmt/core.h>

namespace program {

namespace {

struct GenerateFlags {
  ChosenModel model;
  std::vector<std::string> prompt, prompt_file;
  binllm::GenerateOptions options;
  std::string head;
  bool stream = true, stats = false;
  std::string tokenizer;
  DeviceChoice device;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "", any);
    v("prompt", self.prompt, "text to continue; again for another", repeated_texts());
    v("prompt_file", self.prompt_file, "file whose text is a prompt; again for another", repeated());
    binllm::GenerateOptions::visit(without("seed", v), self.options);
    v("stop", self.options.stop, "text at which to end, not printed; again for another", repeated_texts());
    v("head", self.head, "precision of embedding and head: float, bf16, int8", shown_as("the model's"));
    v("stream", self.stream, "print text as it is made (default), or when it is complete", any);
    v("stats", self.stats, "print tokens, time and memory to standard error", any);
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }
  void check() const { options.check(); }
  void refuse_idle(const GivenFlags& given) const {
    if (options.temperature == 0)
      given.refuse({"top_k", "top_p", "seed"}, "--temperature above 0", "0: always the most likely token");
    if (options.repetition_penalty == 1)
      given.refuse({"repetition_window"}, "--repetition-penalty beside it", "1: no penalty");
    if (common.json) given.refuse({"stream"}, "text to print", "--json, which prints one object at the end");
  }
};

/// Those of --prompt, then those of --prompt-file, whose last line end is the file's and not the prompt's.
std::vector<std::string> read_prompts(const GenerateFlags& flags) {
  std::vector<std::string> prompts = flags.prompt;
  for (const std::string& path : flags.prompt_file) {
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

void print_json(const std::vector<std::string>& prompts, const binllm::GenerationReport& generated,
                const DeviceChoice& device) {
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

void generate(GenerateFlags& flags) {
  flags.common.apply();
  flags.device.apply();
  binllm::GenerateOptions& options = flags.options;
  options.seed = flags.common.seed;
  flags.model.refuse_idle(flags.common.given);
  if (!flags.head.empty()) options.vocabulary = binllm::vocabulary_precision_named(flags.head);
  const auto prompts = read_prompts(flags);
  const auto tokenizer = choose_tokenizer(flags.tokenizer, flags.model.model);
  TextPrinter printer(prompts.size(), flags.stream, !flags.common.json);
  const auto made = flags.model.open(flags.device).generate(tokenizer, prompts, options, &printer);
  if (flags.common.json) print_json(prompts, made, flags.device);
  if (flags.stats) {
    print_statistics(made.texts.statistics, flags.device);
    print_memory(made.memory);
  }
  pass_interruption_on();
}

}  // namespace

void add_generate(CLI::App& app, std::string& list) {
  add_command(app, list, "generate", "continue prompts", generate);
}

}  // namespace program
