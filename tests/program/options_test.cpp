// SPDX-License-Identifier: MIT
/// Every flag of every command, from the program's own list: said by --help, kept to its range, told on the page.
#include "program.hpp"
#include "program/sweep.hpp"

#include "binllm/program.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <set>
#include <sstream>
#include <vector>

using namespace binllm::test;
using nlohmann::json;

namespace {

std::vector<json> list_of_flags(const TemporaryFolder& folder) {
  const Outcome listed = run(folder, "--options");
  REQUIRE(listed.code == 0);
  std::vector<json> flags;
  std::istringstream lines(listed.out);
  for (std::string line; std::getline(lines, line);) flags.push_back(json::parse(line));
  return flags;
}

/// Flags of a help text, each with what is said of it up to the next.
std::map<std::string, std::string> flags_of(const std::string& help) {
  std::map<std::string, std::string> flags;
  std::istringstream lines(help);
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  --")) name = line.substr(2, line.find_first_of(" ,", 2) - 2);
    if (!name.empty()) flags[name] += line + '\n';
  }
  return flags;
}

/// Values that no option of that kind takes.
std::vector<std::string> wrong_values(const json& flag) {
  std::vector<std::string> values{"", "x", "1x", "nan"};
  if (!flag.at("negative").get<bool>()) values.insert(values.end(), {"-1", "-99999999999999999999999"});
  if (flag.at("type") != "FLOAT") values.insert(values.end(), {"99999999999999999999999", "0.5", "1e3", "inf"});
  if (!flag.at("infinity").get<bool>()) values.insert(values.end(), {"inf", "-inf", "1e999"});
  return values;
}

}  // namespace

TEST_CASE("--help says name, meaning, default and range of every flag, and of no other") {
  const TemporaryFolder folder;
  std::map<std::string, std::set<std::string>> listed;
  std::map<std::string, std::map<std::string, std::string>> helped;
  const auto flags = list_of_flags(folder);
  CHECK(flags.size() > 90);
  for (const json& flag : flags) {
    const auto command = flag.at("command").get<std::string>(), name = flag.at("flag").get<std::string>();
    CAPTURE(command + " " + name);
    listed[command].insert(name);
    auto& help = helped[command];
    if (help.empty()) help = flags_of(run(folder, command + " --help").out);
    REQUIRE(help.contains(name));
    const std::string& said = help.at(name);
    CHECK(said.find(flag.at("help").get<std::string>()) != std::string::npos);
    if (flag.contains("range")) CHECK(said.find("(" + flag.at("range").get<std::string>() + ")") != std::string::npos);
    const auto preset = flag.value("default", std::string());
    if (!preset.empty()) CHECK(said.find("=" + preset) != std::string::npos);
    CHECK((said.find(" REQUIRED") != std::string::npos) == flag.at("required").get<bool>());
  }
  CHECK(listed.size() == 18);
  for (const auto& [command, names] : listed) {
    for (const auto& [name, said] : helped[command]) {
      CAPTURE(command + " " + name);
      CHECK(names.contains(name));
    }
  }
}

TEST_CASE("every number is refused outside its range, before anything is read or written") {
  SweptProgram program(program::add_commands, 20);
  std::map<std::string, Settings> needed;
  for (const json& flag : program.flags()) {
    if (flag.at("required").get<bool>()) needed[flag.at("command")].emplace_back(flag.at("flag"), "absent");
  }
  int numbers = 0;
  for (const json& flag : program.flags()) {
    if (!flag.contains("range")) continue;
    ++numbers;
    const auto command = flag.at("command").get<std::string>(), name = flag.at("flag").get<std::string>();
    std::string member = name.substr(2);  // as the library's own checks call it
    for (char& c : member) c = c == '-' ? '_' : c;
    for (const std::string& value : wrong_values(flag)) {
      Settings settings = needed[command];
      settings.emplace_back(name, value);
      const Observed outcome = program.run(command, settings);
      CAPTURE(command + " " + name + "=" + value);
      CAPTURE(outcome.error);
      CHECK(outcome.status > 0);
      CHECK(outcome.status < 3);
      CHECK(outcome.out.empty());
      const bool named =
          outcome.error.find(name) != std::string::npos || outcome.error.find(member) != std::string::npos;
      CHECK(named);
      CHECK(outcome.error.find("absent") == std::string::npos);
      CHECK(outcome.files.empty());
    }
  }
  CHECK(numbers > 50);
}

TEST_CASE("the page of the program tells of every flag") {
  const TemporaryFolder folder;
  const std::string page = read_text(std::filesystem::path(BINLLM_SOURCE_DIR) / "docs" / "command-line.md");
  REQUIRE(!page.empty());
  for (const json& flag : list_of_flags(folder)) {
    const auto name = "`" + flag.at("flag").get<std::string>() + "`";
    CAPTURE(name);
    CHECK(page.find(name) != std::string::npos);
  }
}

TEST_CASE("run.json keeps its keys: a run that an older version began can be resumed") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), made = (folder / "run").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 256 --valid-windows 4 --out " + model + tiny).code == 0);
  REQUIRE(run(folder, "binarize --model " + model +
                          " --built-in --tokens 256 --batch 4 --context 32 --chunks 2 --channel-scale-steps 1 "
                          "--valid-windows 4 --threads 1 --out " +
                          made)
              .code == 0);
  const auto keys = [](const std::string& path) {
    std::set<std::string> found;
    const json flat = json::parse(read_text(path)).flatten();
    for (const auto& [key, value] : flat.items()) found.insert(key);
    return found;
  };
  std::set<std::string> common{"/command", "/device/name", "/precision"};
  for (const char* stream : {"text", "validation"}) {
    for (const char* key : {"hash", "tokens"}) common.insert("/" + std::string(stream) + "/" + key);
  }
  for (const char* key :
       {"tokens", "batch", "micro_batch", "context", "learning_rate", "last_learning_rate", "warmup", "weight_decay",
        "beta1", "beta2", "epsilon", "clip", "seed", "report_every", "evaluate_every"})
    common.insert("/training/" + std::string(key));
  auto pretrained = common, binarized = common;
  pretrained.insert({"/tokenizer", "/identity/tokenizer"});
  for (const char* key : {"start", "parameters", "dim", "hidden", "layers", "heads", "kv_heads"})
    pretrained.insert("/model/" + std::string(key));
  pretrained.insert("/validation/windows"), binarized.insert("/validation/windows");  // absent where it is all
  for (const char* key : {"model", "identity/weights", "identity/config", "identity/tokenizer", "channel_scale_steps",
                          "channel_scale_learning_rate", "chunks"})
    binarized.insert("/" + std::string(key));
  for (const char* key : {"estimator", "scale", "granularity", "schedule", "channel_scale"})
    binarized.insert("/recipe/" + std::string(key));
  CHECK(keys(model + "/run.json") == pretrained);
  CHECK(keys(made + "/run.json") == binarized);
}
