// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "decoding.hpp"
#include "interruption.hpp"
#include "text_printer.hpp"

#include <binllm/core/mapped_memory.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace program {

namespace {

struct GenerateFlags {
  ChosenModel model;
  std::vector<std::string> prompt, prompt_file;
  DecodingFlags decoding;
  bool stream = true, stats = false;
  std::string tokenizer;
  DeviceChoice device;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "", any);
    v("prompt", self.prompt, "text to continue; again for another", repeated_texts());
    auto& o = self.decoding.options;
    v("prompt_file", self.prompt_file, "file whose text is a prompt, -: standard input; again for another", repeated());
    v("max_tokens", o.max_tokens, "tokens to add at most to each prompt", at_least(0));
    v("decoding", self.decoding, "", any);
    v("context", o.context, "tokens that a text may have; 0: as many as are needed", at_least(0));
    v("sequences", o.sequences, "prompts continued at the same time at most", at_least(1));
    v("stream", self.stream, "print text as it is made (default), or when it is complete", any);
    v("stats", self.stats, "print tokens, time and memory to standard error", any);
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }
  void refuse_idle(const GivenFlags& given) const {
    decoding.refuse_idle(given);
    if (common.json) given.refuse({"stream"}, "text to print", "--json, which prints one object at the end");
  }
};

/// A prompt must fit into a context, so what is longer than this is none, and is not read to its end.
constexpr std::size_t most_bytes = std::size_t{1} << 24;

std::string read_standard_input() {
  std::string text;
  for (std::array<char, 1 << 16> part{};;) {
    const ssize_t got = ::read(STDIN_FILENO, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw binllm::Error(binllm::ErrorId::file_unreadable, "generate", "standard input", "a text",
                          std::strerror(errno));
    }
    if (got == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > most_bytes) {
      throw binllm::Error(binllm::ErrorId::option_out_of_range, "generate", "standard input",
                          fmt::format("a prompt of at most {} bytes", most_bytes), "a longer one");
    }
  }
}

/// The last line end of a file, LF or CR LF, is the file's and not the prompt's.
std::string without_last_line_end(std::string text) {
  const std::size_t end = text.ends_with("\r\n") ? 2 : text.ends_with('\n') ? 1 : 0;
  text.resize(text.size() - end);
  return text;
}

/// Those of --prompt, then those of --prompt-file; without either what comes through a pipe.
std::vector<std::string> read_prompts(const GenerateFlags& flags) {
  std::vector<std::string> prompts = flags.prompt;
  for (const std::string& path : flags.prompt_file) {
    if (path == "-") {
      prompts.push_back(without_last_line_end(read_standard_input()));
      continue;
    }
    const auto file = binllm::MappedMemory::of_file(path);
    prompts.push_back(without_last_line_end({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}));
  }
  if (prompts.empty() && ::isatty(STDIN_FILENO) == 0) {
    if (std::string text = without_last_line_end(read_standard_input()); !text.empty()) prompts = {std::move(text)};
  }
  if (prompts.empty()) {
    throw binllm::Error(binllm::ErrorId::option_out_of_range, "generate", "--prompt, --prompt-file",
                        "one at least, or a text on standard input", "none");
  }
  return prompts;
}

Json to_json(const binllm::GenerationStatistics& s) {
  return {{"prompt_tokens", s.prompt_tokens},
          {"generated_tokens", s.generated_tokens},
          {"steps", s.steps},
          {"step_tokens", s.step_tokens},
          {"shared_tokens", s.shared_tokens},
          {"proposed_tokens", s.proposed_tokens},
          {"accepted_tokens", s.accepted_tokens},
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
  if (s.shared_tokens > 0) fmt::print(stderr, "shared              {} tokens that were read before\n", s.shared_tokens);
  fmt::print(stderr, "decode              {} tokens in {} steps in {:.3f} s: {:.1f} tokens/s\n", s.step_tokens, s.steps,
             s.decode_seconds, s.decode_tokens_per_second());
  if (s.proposed_tokens > 0)
    fmt::print(stderr, "speculation         {} of {} proposed tokens were right\n", s.accepted_tokens, s.proposed_tokens);
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
  flags.model.refuse_idle(flags.common.given);
  const binllm::GenerateOptions options = flags.decoding.chosen(flags.common.seed);
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
