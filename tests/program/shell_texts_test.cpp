// SPDX-License-Identifier: MIT
/// What the program writes for the shell that it is installed in: completion for bash, its page of the manual.
#include "program.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace binllm::test;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// What bash offers after each of these command lines, whose last word is not finished.
std::vector<std::string> completions(const TemporaryFolder& folder, const std::vector<std::string>& command_lines) {
  write_text(folder / "completion", run(folder, "completion bash").out);
  std::string script = "source " + (folder / "completion").string() + R"(
    complete -p binllm >/dev/null || exit
    try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _binllm; echo "${COMPREPLY[*]}"; }
)";
  for (const std::string& line : command_lines) script += "try binllm " + line + '\n';
  write_text(folder / "script", script);
  const Outcome outcome = run_shell(folder, "bash --norc " + (folder / "script").string());
  CHECK(outcome.error.empty());
  const auto offered = lines_of(outcome.out);
  REQUIRE(offered.size() == command_lines.size());
  return offered;
}

}  // namespace

TEST_CASE("bash completes commands, flags and the values of flags") {
  const TemporaryFolder folder;
  const auto offered =
      completions(folder, {"conv", "--vers", "convert --ty", "convert --type ''", "convert --type b",
                           "convert --type = f3", "pretrain --dim ''", "pretrain --te", "pretrain --text x"});
  CHECK(offered[0] == "convert");
  CHECK(offered[1] == "--version");
  CHECK(offered[2] == "--type");
  CHECK(offered[3] == "f32 f16 bf16");
  CHECK(offered[4] == "bf16");
  CHECK(offered[5] == "f32");
  CHECK(offered[6].empty());  // a number
  CHECK(offered[7].find("--text") != std::string::npos);
  CHECK(offered[8].empty());  // a file, which bash itself completes
}

TEST_CASE("completion offers every value that has a name") {
  const TemporaryFolder folder;
  std::vector<std::string> begun, wanted;
  for (const std::string& line : lines_of(run(folder, "--options").out)) {
    const auto flag = nlohmann::json::parse(line);
    for (const char* key : {"one_of", "known"}) {
      if (!flag.contains(key)) continue;
      begun.push_back(flag.at("command").get<std::string>() + " " + flag.at("flag").get<std::string>() + " ''");
      wanted.emplace_back();
      for (const std::string word : flag.at(key)) wanted.back() += (wanted.back().empty() ? "" : " ") + word;
    }
  }
  const auto offered = completions(folder, begun);
  std::map<std::string, std::string> values;
  for (std::size_t i = 0; i < begun.size(); ++i) {
    CAPTURE(begun[i]);
    CHECK(offered[i] == wanted[i]);
    values[begun[i].substr(0, begun[i].find(" '"))] = " " + offered[i] + " ";
  }
  const std::vector<std::pair<std::string, std::string>> some{
      {"binarize --method", "strong"},      {"binarize --method", "list"},    {"binarize --estimator", "ede"},
      {"binarize --schedule", "geometric"}, {"binarize --scale", "learned"},  {"binarize --granularity", "row"},
      {"binarize --channel-scale", "none"}, {"binarize --optimizer", "muon"}, {"binarize --shard", "gradients"},
      {"binarize --device", "cuda"},        {"pretrain --precision", "bf16"}, {"pretrain --family", "qwen3"},
      {"evaluate --tasks", "piqa"},         {"evaluate --protocol", "ptb"},   {"quantize --method", "gptq"},
      {"generate --head", "int8"},          {"generate --cache", "bf16"},     {"bits --shape", "LLaMA2-7B"}};
  for (const auto& [flag, value] : some) {
    CAPTURE(flag);
    CHECK(contains(values[flag], " " + value + " "));
  }
}

TEST_CASE("completion and manual know every flag of every command") {
  const TemporaryFolder folder;
  const std::string page = run(folder, "manual").out;
  std::vector<std::string> commands, flags;
  for (const std::string& line : lines_of(run(folder, "--options").out)) {
    const auto flag = nlohmann::json::parse(line);
    commands.push_back(flag.at("command").get<std::string>() + " --");
    flags.push_back(flag.at("flag").get<std::string>());
  }
  CHECK(flags.size() > 90);
  const auto offered = completions(folder, commands);
  for (std::size_t i = 0; i < flags.size(); ++i) {
    CAPTURE(commands[i] + flags[i]);
    CHECK((" " + offered[i] + " ").find(" " + flags[i] + " ") != std::string::npos);
    std::string in_roff;
    for (const char c : flags[i]) in_roff += c == '-' ? std::string("\\-") : std::string(1, c);
    CHECK(page.find("\\fB\\&" + in_roff + "\\fR") != std::string::npos);
  }
}

TEST_CASE("the manual is a page that groff takes without a warning") {
  const TemporaryFolder folder;
  write_text(folder / "binllm.1", run(folder, "manual").out);
  if (run_shell(folder, "command -v groff >" + (folder / "groff").string()).code != 0) {
    MESSAGE("skipped: no groff here");
    return;
  }
  const Outcome outcome = run_shell(folder, "groff -man -Kutf8 -Tutf8 -P-cbou -ww " + (folder / "binllm.1").string());
  CHECK(outcome.error.empty());
  CHECK(outcome.out.find("binarize") != std::string::npos);
}
