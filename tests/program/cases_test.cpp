// SPDX-License-Identifier: MIT
/// Inputs on which the program once did the wrong thing. They lie in the folder `cases` beside the data kit, one folder
/// each, and a list there says what must happen; here is a test of each line.
#include "program.hpp"

#include "data_kit.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace binllm::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// The folder of a case; nothing (said aloud) where there is none.
std::optional<std::string> case_folder(const std::string& name) { return data_file("../cases/" + name); }
/// The pre-trained model that some cases are about.
std::optional<std::string> stories() {
  const auto file = data_file("models/stories260K/tok512.model");
  return file ? std::optional(fs::path(*file).parent_path().string()) : std::nullopt;
}

int lines_of(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

/// A line on standard error, nothing on standard output, status 1.
void check_refused(const Outcome& outcome, const std::vector<std::string>& said) {
  CAPTURE(outcome.out);
  CAPTURE(outcome.error);
  CHECK(outcome.code == 1);
  CHECK(outcome.out.empty());
  CHECK(lines_of(outcome.error) == 1);
  for (const std::string& part : said) CHECK(contains(outcome.error, part));
}

/// What `--json` printed.
json result_of(const Outcome& outcome) {
  CAPTURE(outcome.error);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.out);
}

/// `evaluate` on the case's own text, as its line has it.
std::string evaluate(const std::string& folder) {
  return "evaluate --model " + folder + " --text " + folder + "/text.txt --context 33 --windows 1 --json";
}

const std::string shape = " --dim 32 --hidden 44 --layers 1 --heads 2 --kv-heads 1 --context 32 --threads 1 ";

}  // namespace

TEST_CASE("every line of the list of cases has a test here") {
  const auto list = case_folder("README.md");
  if (!list) return;
  const std::set<std::string> tested{"bits-per-byte-unknown",
                                     "eos-list",
                                     "eos-of-tokenizer",
                                     "loss-not-finite",
                                     "option-not-a-number",
                                     "output-device-full",
                                     "padded-vocabulary",
                                     "pointer-file",
                                     "prompt-with-crlf",
                                     "rank-file-tokenizer",
                                     "rope-parameters-without-type",
                                     "rope-theta-beside-parameters",
                                     "sharded",
                                     "tied-copy-negative-zero",
                                     "tokenizer-larger-than-model",
                                     "validation-windows",
                                     "words-one-a-line"};
  const std::string text = read_text(*list), mark = "- **";
  for (std::size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) {
    const std::size_t begin = at + mark.size();
    const std::string name = text.substr(begin, text.find("**", begin) - begin);
    CAPTURE(name);
    CHECK(tested.contains(name));
  }
}

TEST_CASE("the base and the type of rotary positions follow the precedence of the ecosystem") {
  const TemporaryFolder folder;
  for (const char* name : {"rope-theta-beside-parameters", "rope-parameters-without-type"}) {
    const auto input = case_folder(name);
    if (!input) return;
    CAPTURE(name);
    CHECK(result_of(run(folder, evaluate(*input))).at("nll").get<double>() == doctest::Approx(6.05610).epsilon(1e-5));
  }
}

TEST_CASE(
    "every id of a list of end tokens ends a text, and is kept; where config.json is silent the tokenizer's does") {
  const TemporaryFolder folder;
  for (const char* name : {"eos-list", "eos-of-tokenizer"}) {
    const auto input = case_folder(name);
    if (!input) return;
    CAPTURE(name);
    const auto made = result_of(run(folder, "generate --json --max-tokens 12 --prompt 'Once upon' --model " + *input));
    CHECK(made.at("results").at(0).at("finish") == "end_token");
    CHECK(made.at("results").at(0).at("generated_tokens") == 0);
  }
  const std::string out = (folder / "packed").string();
  REQUIRE(run(folder, "pack --model " + *case_folder("eos-list") + " --out " + out).code == 0);
  CHECK(json::parse(read_text(folder / "packed/config.json")).at("eos_token_id") == json({5, 2}));
}

TEST_CASE("ids without a piece are never chosen") {
  const auto input = case_folder("padded-vocabulary");
  if (!input) return;
  const TemporaryFolder folder;
  const std::string job = " --max-tokens 12 --temperature 1 --prompt 'Once upon' --model " + *input;
  for (const char* seed : {"1", "2", "3"}) CHECK(run(folder, "generate --seed " + std::string(seed) + job).code == 0);
  const auto made = result_of(run(folder, "generate --json --prompt Two" + job));
  for (const auto& result : made.at("results")) CHECK(result.at("generated_tokens") == 12);
}

TEST_CASE("a tokenizer with more tokens than the model is refused before the first step, in every way to start") {
  const auto input = case_folder("tokenizer-larger-than-model");
  if (!input) return;
  const TemporaryFolder folder;
  const std::string never = (folder / "never").string();
  const std::string job = " --model " + *input + " --tokenizer " + *input + "/larger.model --text " + *input +
                          "/text.txt --context 16 --batch 2 --tokens 640 --out " + never;
  for (const std::string command : {"pretrain", "binarize --chunks 2"}) {
    for (const char* more : {"", " --dry-run"}) check_refused(run(folder, command + job + more), {"E302"});
    check_refused(run(folder, command + job + " --resume"), {"E201"});  // there is no run to go on with
  }
  CHECK_FALSE(fs::exists(never));
}

TEST_CASE("bits per byte are over the bytes of the text") {
  const auto input = case_folder("bits-per-byte-unknown");
  if (!input) return;
  const TemporaryFolder folder;
  const auto line =
      result_of(run(folder, "evaluate --model " + *input + " --text " + *input + "/text.txt --context 33 --json"));
  CHECK(line.at("bytes") == 31);
  CHECK(line.at("bits_per_byte").get<double>() == doctest::Approx(7.49).epsilon(1e-3));
}

TEST_CASE("weights in several files are read by their index") {
  const auto input = case_folder("sharded");
  if (!input) return;
  const TemporaryFolder folder;
  CHECK(result_of(run(folder, evaluate(*input))).at("nll").get<double>() == doctest::Approx(6.06457).epsilon(1e-5));
  CHECK(run(folder, "inspect --model " + *input).code == 0);
}

TEST_CASE("files that stand in place of others are said to be what they are") {
  const TemporaryFolder folder;
  const auto pointer = case_folder("pointer-file"), ranks = case_folder("rank-file-tokenizer");
  if (!pointer || !ranks) return;
  check_refused(run(folder, evaluate(*pointer)), {"E204", "a pointer of Git LFS", "git lfs pull"});
  check_refused(run(folder, evaluate(*ranks)), {"E403", "tiktoken", "tokenizer.json"});
  check_refused(run(folder, "evaluate --built-in --model " + *ranks + "/model.safetensors"),
                {"E202", "wanted a model folder", "a file of the model folder"});
  check_refused(run(folder, "evaluate --built-in --tokenizer tokenizer.json --model " + *ranks),
                {"E201", "tokenizer.json"});
}

TEST_CASE("a tied copy with -0 in place of 0 is equal") {
  const auto input = case_folder("tied-copy-negative-zero");
  if (!input) return;
  const TemporaryFolder folder;
  CHECK(run(folder, evaluate(*input)).code == 0);
}

TEST_CASE("a loss that is not finite is an error, and ends what would go on with it") {
  const auto input = case_folder("loss-not-finite");
  if (!input) return;
  const TemporaryFolder folder;
  check_refused(run(folder, evaluate(*input)), {"E208"});
  const std::string text = " --text " + *input + "/text.txt --valid " + *input + "/text.txt";
  const auto binarized = run(folder, "binarize --json --model " + *input + text +
                                         " --context 33 --batch 1 --chunks 1 --out " + (folder / "run").string());
  CHECK(binarized.code == 1);
  CHECK(contains(binarized.error, "E208"));
  CHECK_FALSE(fs::exists(folder / "run/binary"));
  check_refused(run(folder, "convert " + *input + " " + (folder / "half").string()), {"E208", "F16"});
  CHECK_FALSE(fs::exists(folder / "half/config.json"));
}

TEST_CASE("numbers out of their range are refused before the run") {
  const TemporaryFolder folder;
  const std::string job = "pretrain --built-in --tokens 256 --out " + (folder / "never").string() + shape;
  for (const char* flag : {"--weight-decay nan", "--clip nan", "--clip -1", "--weight-decay -5", "--evaluate-every -3",
                           "--seed -1", "--seed 99999999999999999999999", "--tokens 9223372036854775808"}) {
    const auto outcome = run(folder, job + flag);
    CAPTURE(flag);
    CAPTURE(outcome.error);
    CHECK(outcome.code > 0);
    CHECK(outcome.code < 3);
    CHECK(lines_of(outcome.error) == 1);
  }
  check_refused(
      run(folder, "binarize --channel-scale-steps -4 --built-in --model absent --out " + (folder / "never").string()),
      {"E304", "--channel-scale-steps"});
  CHECK_FALSE(fs::exists(folder / "never"));
}

TEST_CASE("a validation loss is over the windows that the flag names, and a resumed run keeps to them") {
  const TemporaryFolder folder;
  const std::string made = (folder / "run").string();
  const std::string job =
      "pretrain --built-in --tokens 2560 --evaluate-every 5 --checkpoint-every 5 --valid-windows 2 --out " + made +
      shape;
  REQUIRE(run(folder, job).code == 0);
  std::ifstream lines(folder / "run/metrics.jsonl");
  json last;
  for (std::string line; std::getline(lines, line);) last = json::parse(line);
  const auto judged =
      result_of(run(folder, "evaluate --json --built-in --context 32 --windows 2 --threads 1 --model " + made));
  CHECK(last.at("validation_loss").get<double>() == doctest::Approx(judged.at("nll").get<double>()).epsilon(1e-6));
  std::string other = job;
  other.replace(other.find("--valid-windows 2"), 17, "--valid-windows 3");
  check_refused(run(folder, other + " --resume"), {"E502", "validation"});
}

TEST_CASE("a last line end of a prompt file is LF or CR LF") {
  const auto input = case_folder("prompt-with-crlf"), model = stories();
  if (!input || !model) return;
  const TemporaryFolder folder;
  const std::string job = "generate --max-tokens 12 --temperature 0 --model " + *model;
  CHECK(run(folder, job + " --prompt-file " + *input + "/prompt.txt").out ==
        run(folder, job + " --prompt 'Once upon'").out);
}

TEST_CASE("results that cannot be written are an error") {
  const auto model = stories();
  if (!model) return;
  const TemporaryFolder folder;
  const std::string of_model = " --model " + *model;
  for (const std::string& command : std::vector<std::string>{
           "evaluate --built-in --windows 2" + of_model, "inspect" + of_model,
           "generate --prompt a --max-tokens 3" + of_model, "generate --json --prompt a --max-tokens 3" + of_model,
           "--help", "evaluate --help", "--version", "--options", "binarize --method list"}) {
    for (const char* output : {" >/dev/full", " >&-"}) {
      const auto outcome = run(folder, command + output);
      CAPTURE(command + output);
      CAPTURE(outcome.error);
      CHECK(outcome.code == 1);
      CHECK(lines_of(outcome.error) == 1);
      CHECK(contains(outcome.error, "E207: binllm: standard output"));
    }
  }
}

TEST_CASE("a text of any words is tokenised in bounded memory") {
  const auto model = stories();
  if (!model) return;
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 600000; ++i) text += "word\n";
  write_text(folder / "words.txt", text);
  const auto line = result_of(
      run(folder, "evaluate --json --windows 1 --model " + *model + " --text " + (folder / "words.txt").string()));
  CHECK(line.at("text_bytes") == text.size());
  CHECK(line.at("peak_resident_bytes").get<double>() < 100e6);  // it was 200 bytes for each byte of the text
}

// ---- cases beside the list, of files and runs

TEST_CASE("a zero byte and what follows it are no JSON") {
  const auto input = case_folder("header-with-nul");
  if (!input) return;
  const TemporaryFolder folder;
  const std::string model = (folder / "m").string();
  fs::copy(*input, model);
  fs::permissions(model, fs::perms::owner_all);
  const std::string job = "generate --prompt ab --max-tokens 3 --model " + model;
  check_refused(run(folder, job), {"E301", "a zero byte"});
  const std::string config = read_text(folder / "m/config.json");
  write_text(folder / "m/config.json", config.substr(0, config.find('\0')));
  check_refused(run(folder, job), {"E204", "a zero byte"});
}

TEST_CASE("inspect compares the file with its config.json") {
  const auto input = case_folder("inspect-config-of-another-model");
  if (!input) return;
  const TemporaryFolder folder;
  check_refused(run(folder, "inspect --model " + *input), {"E205"});
}

TEST_CASE("escape sequences of a file are shown, not sent") {
  const auto input = case_folder("escape-sequences-in-config");
  if (!input) return;
  const TemporaryFolder folder;
  check_refused(run(folder, "inspect --model " + *input), {"E301", "\\x1b[2J"});
}

TEST_CASE("tables of positions are as long as the work, not as config.json says") {
  const auto input = case_folder("rope-table-of-all-positions");
  if (!input) return;
  const TemporaryFolder folder;
  for (const std::string command : {"generate --prompt a --max-tokens 4", "evaluate --built-in --windows 2"}) {
    const auto line = result_of(run(folder, command + " --json --model " + *input));
    CHECK(line.at("peak_resident_bytes").get<double>() < 200e6);
  }
}

TEST_CASE("a model that the library saved knows of a damaged bit") {
  const TemporaryFolder folder;
  const std::string model = (folder / "m").string();
  REQUIRE(run(folder, "pretrain --built-in --batch 4 --tokens 256 --valid-windows 2 --out " + model + shape).code == 0);
  std::string weights = read_text(folder / "m/model.safetensors");
  weights[weights.size() / 2] ^= 1;
  write_text(folder / "m/model.safetensors", weights);
  check_refused(run(folder, "evaluate --built-in --context 32 --windows 1 --model " + model), {"E204", "damaged"});
}
