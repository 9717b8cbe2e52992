// SPDX-License-Identifier: MIT
/// What the program does when something is wrong around it: streams that are closed, signals, folders that were changed
/// under a run, names that are misspelt.
#include "program.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

using namespace binllm::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

void check_said(const Outcome& outcome, int code, const std::vector<std::string>& said) {
  CAPTURE(outcome.out);
  CAPTURE(outcome.error);
  CHECK(outcome.code == code);
  CHECK(std::count(outcome.error.begin(), outcome.error.end(), '\n') == 1);
  for (const std::string& part : said) CHECK(contains(outcome.error, part));
}

std::string pretrain(const fs::path& out, const std::string& more = "") {
  return "pretrain --built-in --tokens 2048 --valid-windows 2 --out " + out.string() + tiny + more;
}
/// One that keeps checkpoints on the way.
std::string binarize(const fs::path& model, const fs::path& out, const std::string& more = "", int stage_1 = 3) {
  return "binarize --built-in --context 32 --batch 4 --tokens 5120 --chunks 2 "
         "--checkpoint-every 10 --valid-windows 2 --threads 1 --json --channel-scale-steps " +
         std::to_string(stage_1) + " --model " + model.string() + " --out " + out.string() + more;
}

bool has_file_like(const fs::path& folder, const std::string& part) {
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator{},
                     [&](const auto& entry) { return contains(entry.path().filename().string(), part); });
}

}  // namespace

TEST_CASE("a stopped training finishes its step, saves, says how to go on, and goes on") {
  const TemporaryFolder folder;
  const fs::path made = folder / "run";
  const std::string job =
      "pretrain --built-in --tokens 400000 --report-every 1000 --valid-windows 2 --out " + made.string() + tiny;
  const Started training(folder, job);
  training.wait_for_text_in(made / "metrics.jsonl");
  CHECK(training.ended_by(SIGINT));
  const std::string said = training.errors();
  CAPTURE(said);
  CHECK(contains(said, "binllm: stopped after step "));
  CHECK(contains(said, " of pretrain; go on with: binllm pretrain --built-in"));
  CHECK(contains(said, " --resume\n"));
  CHECK(has_file_like(made / "checkpoints", "pretrain-"));
  CHECK_FALSE(fs::exists(made / "model.safetensors"));
  const auto resumed = run(folder, job + " --resume");
  CHECK(resumed.code == 0);
  CHECK(contains(resumed.error, "goes on from "));
}

TEST_CASE("a second signal waits for the save that the first one asked for") {
  const TemporaryFolder folder;
  const fs::path made = folder / "run", checkpoints = made / "checkpoints";
  // A state of 36 MB, whose save takes longer than a step and than this test's look at it.
  const std::string job =
      "pretrain --built-in --tokens 800 --batch 1 --context 8 --dim 256 --hidden 704 --layers 4 --heads 4 "
      "--valid-windows 2 --sample-tokens 0 --report-every 1 --threads 1 --out " +
      made.string();
  const Started training(folder, job);
  training.wait_for_text_in(made / "metrics.jsonl");
  training.send(SIGINT);
  training.wait_until([&] { return files_in(checkpoints) > 1; });  // the first is of step 0
  CHECK(training.ended_by(SIGINT));
  CAPTURE(training.errors());
  CHECK(contains(training.errors(), "binllm: stopped after step "));
  CHECK(files_in(checkpoints) == 2);
  CHECK_FALSE(has_file_like(checkpoints, ".tmp"));
  const auto resumed = run(folder, job + " --resume");
  CHECK(resumed.code == 0);
  CHECK(contains(resumed.error, "goes on from "));
}

TEST_CASE("stage 1 is stopped and resumed as the others are") {
  const TemporaryFolder folder;
  REQUIRE(run(folder, pretrain(folder / "model")).code == 0);
  constexpr int steps = 400;
  const Started training(folder, binarize(folder / "model", folder / "run", "", steps));
  training.wait_for_text_in(folder / "run/metrics.jsonl");
  CHECK(training.ended_by(SIGTERM));
  CHECK(contains(training.errors(), " of channel_scale; go on with: "));
  CHECK(has_file_like(folder / "run/checkpoints", "channel_scale-"));
  REQUIRE(run(folder, binarize(folder / "model", folder / "run", " --resume", steps)).code == 0);
  REQUIRE(run(folder, binarize(folder / "model", folder / "whole", "", steps)).code == 0);
  CHECK(read_text(folder / "run/packed/model.safetensors") == read_text(folder / "whole/packed/model.safetensors"));
}

TEST_CASE("no file gets the number of a standard stream that is closed") {
  const TemporaryFolder folder;
  const auto outcome = run(folder, pretrain(folder / "run", " --report-every 8 >&-") + " 2>&-");
  CHECK(outcome.code == 1);  // the results are lost
  std::ifstream lines(folder / "run/metrics.jsonl");
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) CHECK(json::accept(line));
  CHECK(count > 1);
  CHECK(run(folder, pretrain(folder / "quiet", " 2>&-")).code == 0);
}

TEST_CASE("a reader who goes away is an error of one line") {
  const TemporaryFolder folder;
  REQUIRE(run(folder, pretrain(folder / "model")).code == 0);
  const std::string program = "{ sleep 0.2; " + std::string(BINLLM_PROGRAM) +
                              " generate --prompt a --max-tokens 8 --model " + (folder / "model").string() + " 2>" +
                              (folder / "err").string() + "; echo $? >" + (folder / "code").string() + "; }";
  CHECK(std::system((program + " | true").c_str()) == 0);
  CHECK(read_text(folder / "code") == "1\n");
  CHECK(contains(read_text(folder / "err"), "E207: binllm: standard output"));
}

TEST_CASE("a run knows its model by content: moving is fine, changing is not") {
  const TemporaryFolder folder;
  REQUIRE(run(folder, pretrain(folder / "model")).code == 0);
  REQUIRE(run(folder, binarize(folder / "model", folder / "run")).code == 0);
  fs::rename(folder / "model", folder / "moved");
  const auto again = [&](const std::string& model) {
    return run(folder, binarize(model, folder / "run", " --resume"));
  };
  const std::string moved = (folder / "moved").string();
  CHECK(again(moved).code == 0);
  CHECK(again((folder / "run/../moved").string()).code == 0);

  const std::string config = read_text(folder / "moved/config.json");
  auto changed = json::parse(config);
  changed["rope_theta"] = 77;
  changed["binllm"].erase("checksum");
  write_text(folder / "moved/config.json", changed.dump());
  const auto refused = again(moved);
  check_said(refused, 1, {"E502", "identity/config: wanted "});
  CHECK_FALSE(contains(refused.error, "identity/weights"));
  write_text(folder / "moved/config.json", config);

  REQUIRE(run(folder, pretrain(folder / "other", " --seed 2")).code == 0);
  check_said(again((folder / "other").string()), 1, {"E502", "identity/weights: wanted "});

  auto record =
      json::parse(read_text(folder / "run/run.json"));  // as older versions wrote it: the place must be the same
  record.erase("identity");
  record["model"] = moved;
  write_text(folder / "run/run.json", record.dump());
  CHECK(again(moved).code == 0);
  CHECK(contains(again((folder / "other").string()).error, "E502"));
}

TEST_CASE("a damaged checkpoint is said, and the older one is used") {
  const TemporaryFolder folder;
  const fs::path made = folder / "run";
  REQUIRE(run(folder, pretrain(made, " --checkpoint-every 8")).code == 0);
  const std::string weights = read_text(made / "model.safetensors");
  std::string newest = read_text(made / "checkpoints/pretrain-16.safetensors");
  newest[newest.size() / 2] ^= 1;
  write_text(made / "checkpoints/pretrain-16.safetensors", newest);
  const auto resumed = run(folder, pretrain(made, " --checkpoint-every 8 --json --resume"));
  CAPTURE(resumed.error);
  CHECK(resumed.code == 0);
  CHECK(contains(resumed.error, "set aside a damaged checkpoint"));
  CHECK(contains(resumed.error, "goes on from " + (made / "checkpoints/pretrain-8.safetensors").string()));
  CHECK(read_text(made / "model.safetensors") == weights);
}

TEST_CASE("a log that is a link to another file is not followed") {
  const TemporaryFolder folder;
  const fs::path made = folder / "run";
  REQUIRE(run(folder, pretrain(made)).code == 0);
  write_text(folder / "precious", "precious");
  fs::remove(made / "metrics.jsonl");
  fs::remove_all(made / "checkpoints");
  fs::create_symlink(folder / "precious", made / "metrics.jsonl");
  const auto refused = run(folder, pretrain(made, " --resume"));
  CHECK(refused.code == 1);
  CHECK(contains(refused.error, "E207"));
  CHECK(contains(refused.error, "a symbolic link, which is not followed"));
  CHECK(read_text(folder / "precious") == "precious");
}

TEST_CASE("a demo replaces a demo, never a run") {
  const TemporaryFolder folder;
  const std::string demo = "demo --tokens 45000 --json --out ";
  REQUIRE(run(folder, pretrain(folder / "run")).code == 0);
  check_said(run(folder, demo + (folder / "run").string()), 1, {"E207", "a new or empty folder, or a demo's", "a run"});
  fs::create_directory(folder / "mine");
  write_text(folder / "mine/notes", "");
  check_said(run(folder, demo + (folder / "mine").string()), 1, {"E207", "files that are not a demo's"});
  fs::create_directory(folder / "demo");
  write_text(folder / "demo/run.json", R"({"command": "demo"})");
  const Started again(folder, "demo --tokens 45000 --out " + (folder / "demo").string());
  again.wait_for_errors();
  static_cast<void>(again.ended_by(SIGTERM));
  CHECK(contains(again.errors(), "1. pre-training"));
  check_said(run(folder, pretrain(folder / "demo")), 1, {"E207", "a run"});
}

TEST_CASE("weights that the last update made infinite are no result, and no checkpoint") {
  const TemporaryFolder folder;
  write_text(folder / "text.txt", std::string(400, 'a') + std::string(400, 'b'));
  const auto outcome = run(folder,
                           "pretrain --tokens 128 --learning-rate 3e38 --last-learning-rate 3e38 --warmup 0 --clip 0 "
                           "--weight-decay 3e38 --text " +
                               (folder / "text.txt").string() + " --out " + (folder / "run").string() + tiny);
  CAPTURE(outcome.error);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.error, "E501: training: step 0: wanted finite values after the update"));
  CHECK_FALSE(fs::exists(folder / "run/model.safetensors"));
  CHECK_FALSE(has_file_like(folder / "run/checkpoints", "pretrain-1"));
}

TEST_CASE("misspelt commands, flags and names find what was meant") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), never = (folder / "never").string();
  REQUIRE(run(folder, pretrain(folder / "model")).code == 0);
  check_said(run(folder, "pretrian --built-in"), 2, {"no command pretrian: did you mean pretrain?", "binllm --help"});
  check_said(run(folder, "frobnicate"), 2, {"no command frobnicate: wanted pretrain, binarize"});
  check_said(run(folder, ""), 2, {"wanted a command: pretrain, binarize"});
  check_said(run(folder, "evaluate --modle " + model + " --built-in"), 2,
             {"evaluate: no flag --modle: did you mean --model?", "binllm evaluate --help"});
  check_said(run(folder, "evaluate --built-in --window=3 --model " + model), 2, {"did you mean --windows?"});
  check_said(run(folder, "evaluate --built-in"), 2, {"evaluate: --model is required"});
  check_said(run(folder, "inspect --model " + model + " more"), 2, {"nothing takes the word more"});
  check_said(run(folder, "evaluate --built-in --protocol wikitxt2 --model " + model), 2,
             {"wanted plain, wikitext2", "did you mean wikitext2?"});
  const std::string job = "binarize --built-in --context 32 --batch 4 --model " + model + " --out " + never;
  check_said(run(folder, job + " --estimator progresive"), 1, {"E303", "did you mean progressive?"});
  check_said(run(folder, job + " --method binarylm"), 1, {"E303", "did you mean binaryllm?"});
  check_said(run(folder, job + " --schedule geometric:0.1:x"), 1, {"E304", "geometric with at most 2 numbers"});
  check_said(run(folder, job + " --sign-phase 0.03"), 1, {"E302", "a whole number of the 20 chunks", "0.6 of them"});
  check_said(run(folder, job + " --sign-phase 0.05 --estimator vanilla"), 1, {"E302", "--estimator progressive"});
  check_said(run(folder, job + " --schedule exponential+sign:0.05"), 1, {"E302", "progressive-then-sign"});
  check_said(run(folder, job + " --muon-steps 3"), 1, {"E302", "--optimizer muon"});
  check_said(run(folder, job + " --optimizer moun"), 2, {"wanted adamw, muon", "did you mean muon?"});
  check_said(run(folder, "generate --prompt a --head bf61 --model " + model), 1, {"did you mean bf16?"});
  CHECK_FALSE(contains(run(folder, job + " --estimator quite-another").error, "did you mean"));
}

TEST_CASE("a path that is no model is said to be what it is") {
  const TemporaryFolder folder;
  const fs::path model = folder / "model", made = folder / "run";
  REQUIRE(run(folder, pretrain(model)).code == 0);
  REQUIRE(run(folder, binarize(model, made)).code == 0);
  const auto refused = [&](const fs::path& path, const std::vector<std::string>& said) {
    for (const std::string command : {"evaluate --built-in --model ", "inspect --model ", "bits --model ",
                                      "pack --out never --model ", "convert --to never.gguf --from "}) {
      CAPTURE(command + path.string());
      check_said(run(folder, command + path.string()), 1, said);
    }
  };
  refused(made, {"E201", "a run, whose models are in it: binary, packed"});
  refused(made / "checkpoints", {"E201", "a folder without one"});
  refused(folder / "absent", {"E201", "nothing of that name"});
  refused(model / "model.safetensors", {"E202", "a file of the model folder " + model.string()});
  write_text(folder / "x.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  refused(folder / "x.gguf", {"E204", "a pointer of Git LFS"});
  const auto out = run(folder, pretrain(folder / "x.gguf"));
  check_said(out, 1, {"E207", "wanted a folder, found a file in its place"});
  const std::string other = "evaluate --built-in --model " + model.string() + " --tokenizer ";
  check_said(run(folder, other + (model / "model.safetensors").string()), 1, {"E403", "a model's tensors"});
  check_said(run(folder, other + (model / "config.json").string()), 1, {"E403", "a JSON file of another kind"});
  check_said(run(folder, "evaluate --model " + model.string() + " --text " + (folder / "x.gguf").string()), 1,
             {"E204", "a pointer of Git LFS"});
}
