// SPDX-License-Identifier: MIT
/// No value of any option of any command crashes the program, wraps, hangs, or leaves a folder behind; no flag is
/// silently without effect.
#include "program/sweep.hpp"

#include "binllm/options.hpp"
#include "binllm/program.hpp"
#include "binllm/shared.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>

using namespace binllm::test;

namespace {

const Settings tiny_training{{"--batch", "4"},  {"--context", "32"},      {"--tokens", "512"},
                             {"--warmup", "1"}, {"--valid-windows", "4"}, {"--threads", "1"}};

Settings joined(Settings first, const Settings& second) {
  for (const auto& setting : second) {
    std::erase_if(first, [&](const auto& other) { return other.first == setting.first; });
    first.push_back(setting);
  }
  return first;
}
const Settings on_text{{"--text", "words.txt"}, {"--valid", "other.txt"}};
const Settings shape{{"--dim", "16"}, {"--hidden", "24"}, {"--layers", "2"}, {"--heads", "2"}, {"--kv-heads", "1"}};
const Settings new_model = joined(joined(tiny_training, on_text), joined(shape, {{"--out", "out"}}));
const Settings one_bit =
    joined(joined(tiny_training, on_text),
           {{"--model", "model"}, {"--chunks", "2"}, {"--channel-scale-steps", "2"}, {"--out", "out"}});

/// Texts, tasks, and models of each format.
void prepare(SweptProgram& program) {
  const auto& folder = program.folder();
  std::ofstream words(folder / "words.txt"), other(folder / "other.txt");
  for (int i = 0; i < 100; ++i) words << "Line " << i << " of a text to learn from.\n";
  for (int i = 0; i < 60; ++i) other << i << " lines are here to be judged by.\n";
  words.close(), other.close();
  std::filesystem::copy_file(std::filesystem::path(BINLLM_SOURCE_DIR) / "tests/golden/tokenizers/llama3.json",
                             folder / "other.json");
  write_text(folder / "prompt.txt", "Two\n");
  write_text(folder / "lines.jsonl", "{\"text\":\"one\",\"body\":\"two\"}\n");
  write_text(folder / "piqa.jsonl",
             "{\"goal\":\"a\",\"sol1\":\"b\",\"sol2\":\"c\",\"label\":0}\n"
             "{\"goal\":\"a b\",\"sol1\":\"bc\",\"sol2\":\"c\",\"label\":1}\n");
  program.prepare("pretrain", joined(new_model, {{"--out", "model"}}));
  program.prepare("pretrain", joined(new_model, {{"--out", "other-model"}, {"--seed", "2"}}));
  program.prepare("binarize", joined(one_bit, {{"--out", "made"}}));
  program.prepare("quantize", {{"--method", "rtn"}, {"--model", "model"}, {"--threads", "1"}, {"--out", "rtn"}});
}

std::string together(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += '\n' + line;
  return text;
}

}  // namespace

TEST_CASE("no value of any option crashes, wraps, hangs, or leaves a file behind where it is refused") {
  SweptProgram program(program::add_commands, 20);
  prepare(program);
  const Settings judged{{"--windows", "2"}, {"--context", "32"}, {"--threads", "1"}};
  std::map<std::string, Settings> bases{
      {"pretrain", joined(new_model, {{"--dry-run", ""}})},
      {"binarize", joined(one_bit, {{"--dry-run", ""}})},
      {"evaluate", joined(judged, {{"--model", "made/binary"}, {"--text", "words.txt"}})},
      {"generate", {{"--model", "made/packed"}, {"--prompt", "Line"}, {"--max-tokens", "2"}, {"--threads", "1"}}},
      {"chat", {{"--model", "model"}, {"--template", "chatml"}, {"--threads", "1"}}},
      {"completion", {{"--shell", "bash"}}},
      {"tokenize", {{"--text", "words.txt"}, {"--tokenizer", "byte"}, {"--out", "out"}}},
      {"teach",
       {{"--model", "model"},
        {"--text", "words.txt"},
        {"--context", "32"},
        {"--out", "out"},
        {"--threads", "1"},
        {"--dry-run", ""}}},
      {"dataset",
       {{"--model", "model"}, {"--document-tokens", "16"}, {"--out", "out"}, {"--threads", "1"}, {"--dry-run", ""}}},
      {"inspect", {{"--model", "model"}}},
      {"bits", {{"--shape", "smollm-135m"}}},
      {"pack", {{"--model", "model"}, {"--out", "out"}}},
      {"convert", {{"--from", "model"}, {"--to", "out.gguf"}}},
      {"quantize",
       {{"--model", "model"},
        {"--text", "words.txt"},
        {"--windows", "2"},
        {"--context", "32"},
        {"--out", "out"},
        {"--threads", "1"},
        {"--dry-run", ""}}},
      {"plot", {{"--lines", "rtn/quantize.jsonl"}, {"--out", "out.svg"}}},
      {"report", {{"--runs", "made"}, {"--out", "out.html"}}},
      {"watch", {{"--run", "made"}}},
      {"demo", {{"--tokens", "50000"}, {"--out", "out"}, {"--threads", "1"}, {"--dry-run", ""}}}};
  for (const auto& flag : program.flags()) {
    const std::string command = flag["command"];
    CAPTURE(command);
    REQUIRE(bases.contains(command));  // a new command has a base here
  }
  for (auto& [command, base] : bases) {  // threads that have nothing to do are most of the work
    if (program.find(command, "--threads") != nullptr) base = joined({{"--threads", "1"}}, base);
  }
  const Sweep sweep = sweep_values(program, bases);
  MESSAGE("combinations of options that were tried: ", sweep.tried);
  INFO(together(sweep.faults));
  CHECK(sweep.faults.empty());
  CHECK(sweep.tried > 3000);
}

TEST_CASE("a flag changes what a command does, or is refused") {
  SweptProgram program(program::add_commands, 20);
  prepare(program);
  const Settings json{{"--json", ""}, {"--threads", "1"}};
  // the same bits, or nearly; and what fails after a whole training where one batch is not learnt in so few steps
  const std::set<std::string> memory{"--threads", "--micro-batch", "--recompute", "--overfit-batch"};
  const auto of = [&](const std::set<std::string>& more) {
    std::set<std::string> all = memory;
    all.insert(more.begin(), more.end());
    return all;
  };
  Settings alone = new_model, unjudged = new_model, tasks = json;
  std::erase_if(alone, [](const auto& setting) {
    return std::any_of(shape.begin(), shape.end(), [&](const auto& other) { return other.first == setting.first; });
  });
  std::erase_if(unjudged, [](const auto& s) { return s.first == "--valid" || s.first == "--valid-windows"; });
  tasks = joined(tasks, {{"--tasks", "piqa"}, {"--tasks-data", "."}});
  const Settings text = joined(json, {{"--text", "words.txt"}, {"--context", "32"}, {"--windows", "4"}});
  const Settings calibrated = joined(
      json, {{"--model", "model"}, {"--text", "words.txt"}, {"--windows", "4"}, {"--context", "32"}, {"--out", "out"}});
  const Settings drawn = joined(json, {{"--prompt", "Line"}, {"--max-tokens", "24"}, {"--temperature", "1.5"}});
  const std::vector<Mode> modes{
      {"pretrain", joined(new_model, json), of({})},
      {"pretrain", joined(joined(alone, json), {{"--model", "model"}}), of({})},
      {"pretrain", joined(unjudged, json), of({})},
      {"pretrain", joined(joined(new_model, json), {{"--teacher", "other-model"}}), of({})},
      {"binarize", joined(one_bit, json), of({})},
      {"binarize", joined(joined(one_bit, json), {{"--channel-scale", "none"}, {"--channel-scale-steps", "0"}}),
       of({})},
      {"binarize", joined(joined(one_bit, json), {{"--estimator", "vanilla"}}), of({})},
      {"binarize", joined(joined(one_bit, json), {{"--method", "paretoq"}, {"--channel-scale-steps", "0"}}), of({})},
      {"evaluate", joined(text, {{"--model", "model"}}), of({"--batch", "--activations"})},  // float as ever
      {"evaluate", joined(text, {{"--model", "made/binary"}}), of({"--batch", "--activations"})},
      {"evaluate", joined(text, {{"--model", "made/packed"}}), of({"--batch"})},
      {"evaluate", joined(json, {{"--built-in", ""}, {"--context", "32"}, {"--windows", "4"}, {"--model", "model"}}),
       of({"--batch", "--activations"})},
      {"evaluate", joined(tasks, {{"--model", "model"}}), of({"--activations"})},
      {"generate", joined(json, {{"--model", "model"}, {"--prompt", "Line"}}),
       of({"--sequences", "--activations", "--stop"})},
      {"generate", joined(drawn, {{"--model", "made/packed"}}),
       of({"--sequences", "--stop", "--activations", "--speculate"})},
      {"teach", joined(json, {{"--model", "model"}, {"--text", "words.txt"}, {"--context", "32"}, {"--out", "out"}}),
       of({"--batch", "--activations"})},
      {"dataset",
       joined(json, {{"--model", "model"}, {"--documents", "3"}, {"--document-tokens", "16"}, {"--out", "out"}}),
       of({"--sequences", "--activations"})},
      {"tokenize", {{"--json", ""}, {"--text", "words.txt"}, {"--tokenizer", "byte"}, {"--out", "out"}}, of({})},
      {"inspect", {{"--json", ""}, {"--model", "model"}}, of({})},
      {"bits", {{"--json", ""}, {"--shape", "smollm-135m"}}, of({})},
      {"pack", {{"--json", ""}, {"--model", "model"}, {"--out", "out"}}, of({})},
      {"convert", {{"--json", ""}, {"--from", "model"}, {"--to", "out.gguf"}}, of({})},
      {"quantize", calibrated, of({})},
      {"quantize", joined(json, {{"--method", "rtn"}, {"--model", "model"}, {"--out", "out"}}), of({})}};
  const std::map<std::string, std::string> values{{"--text", "other.txt"},
                                                  {"--valid", "words.txt"},
                                                  {"--out", "elsewhere"},
                                                  {"--model", "other-model"},
                                                  {"--tokenizer", "other.json"},
                                                  {"--teacher", "other-model"},
                                                  {"--device", "cuda:99"},
                                                  {"--precision", "bf16"},
                                                  {"--prompt", "More"},
                                                  {"--prompt-file", "prompt.txt"},
                                                  {"--stop", "e"},
                                                  {"--head", "int8"},
                                                  {"--cache", "int8"},
                                                  {"--speculate", "3"},
                                                  {"--tasks", "piqa"},
                                                  {"--tasks-data", "."},
                                                  {"--family", "qwen3"},
                                                  {"--estimator", "vanilla"},
                                                  {"--scale", "learned"},
                                                  {"--schedule", "geometric"},
                                                  {"--granularity", "tensor"},
                                                  {"--channel-scale", "per-linear"},
                                                  {"--method", "paretoq"},
                                                  {"--setting", "estimator=ede"},
                                                  {"--separator", "Line"},
                                                  {"--field", "body"},
                                                  {"--shape", "llama2-7b"},
                                                  {"--lines", "rtn/quantize.jsonl"},
                                                  {"--sample-tokens", "3"},
                                                  {"--distillation", "0.3"},
                                                  {"--clip", "0.001"},
                                                  {"--checkpoint-every", "1"},
                                                  {"--evaluate-every", "1"},
                                                  {"--report-every", "1"},
                                                  {"--evaluate-windows", "1"},
                                                  {"--heads", "4"},
                                                  {"--epsilon", "0.1"},
                                                  {"--micro-batch", "2"},
                                                  {"--top-k", "2"},
                                                  {"--top-p", "0.3"},
                                                  {"--repetition-penalty", "3"},
                                                  {"--repetition-window", "1"},
                                                  {"--items", "1"},
                                                  {"--windows", "2"},
                                                  {"--max-length", "1"},
                                                  {"--sample-tokens", "4"},
                                                  {"--context", "16"},
                                                  {"--sharpness", "2"},
                                                  {"quantize --method", "rtn"},
                                                  {"--bits", "2"},
                                                  {"--group", "8"},
                                                  {"--damping", "0.5"},
                                                  {"--block", "8"},
                                                  {"--ratios", "3"},
                                                  {"--clip-steps", "3"},
                                                  {"--salient", "0.3"},
                                                  {"--rounds", "1"},
                                                  {"--iterations", "3"},
                                                  {"--inputs", "full"},
                                                  {"--temperature", "2"},
                                                  {"--bos", "tokenizer"},
                                                  {"generate --context", "16"},
                                                  {"generate --max-tokens", "3"},

                                                  {"--type", "f32"},
                                                  {"--greedy-least", "0"},
                                                  {"--greedy-most", "9"}};
  const Sweep sweep = sweep_effects(program, modes, values);
  MESSAGE("flags beside others that were tried: ", sweep.tried);
  INFO(together(sweep.faults));
  CHECK(sweep.faults.empty());
}

// ---- faults that are planted must be found

namespace {

struct PlantedOptions {
  binllm::Index width = 8, batch = 4, context = 8, late = 1, loop = 1;
  double colour = 1;
  std::string name;
  std::filesystem::path out;
  program::DryRunFlag dry;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("width", self.width, "declares no range", program::any);
    v("batch", self.batch, "a batch's tokens may wrap", program::at_least(1));
    v("context", self.context, "of which there are so many", program::at_least(1));
    v("late", self.late, "is refused when the folder is there", program::at_least(1));
    v("loop", self.loop, "never ends where it is large", program::at_least(1));
    v("colour", self.colour, "is never looked at", program::at_least(0));
    v("name", self.name, "is refused without an id", program::any);
    v("out", self.out, "folder", program::required());
    v("dry", self.dry, "", program::any);
  }
};

void run_planted(PlantedOptions& o) {
  const auto tokens = static_cast<std::uint64_t>(o.batch) * static_cast<std::uint64_t>(o.context);
  if (o.late > 1000) {
    std::filesystem::create_directories(o.out);
    throw binllm::Error(binllm::ErrorId::option_out_of_range, "planted", "--late", "1 to 1000", "more");
  }
  if (o.name == "text") throw std::runtime_error("planted: no id");
  while (o.loop > 1000) ::pause();
  fmt::print("{} {}\n", o.width, std::uint64_t{1000} / tokens);
}

void add_planted(CLI::App& app, std::string& list) {
  program::add_command(app, list, "planted", "a command with faults", run_planted);
}

}  // namespace

TEST_CASE(
    "the sweep finds planted faults: no range, a product that wraps, a folder left, a hang, a flag without effect") {
  SweptProgram program(add_planted, 0.1);
  Sweep sweep = sweep_values(program, {{"planted", {{"--out", "out"}, {"--dry-run", ""}}}});
  const Sweep effects = sweep_effects(program, {{"planted", {{"--out", "out"}}, {"--dry-run"}}},
                                      {{"--out", "elsewhere"}, {"--name", "a"}});
  sweep.faults.insert(sweep.faults.end(), effects.faults.begin(), effects.faults.end());
  INFO(together(sweep.faults));
  const auto found = [&](const char* flag, const char* what) {
    return std::any_of(sweep.faults.begin(), sweep.faults.end(),
                       [&](const std::string& fault) { return contains(fault, flag) && contains(fault, what); });
  };
  CHECK(found("--width", "declares no range"));
  CHECK(found("--batch 4611686018427387904", "ends by signal"));
  CHECK(found("--late 2147483647", "leaves out/ behind"));
  CHECK(found("--loop", "does not end"));
  CHECK(found("--name text", "without an id"));
  CHECK(found("--colour 0.5", "changes nothing"));
  CHECK_FALSE(found("--context 4 --out", "changes nothing"));
  CHECK(effects.tried > 5);
}
