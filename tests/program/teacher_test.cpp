// SPDX-License-Identifier: MIT
/// Learning from a teacher, on the command line.
#include "program.hpp"

#include "data_kit.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

using namespace binllm::test;
namespace fs = std::filesystem;

namespace {

const std::string job = " --built-in --tokens 1024 --batch 4 --threads 1 --valid-windows 4 ";
const std::string shape = " --heads 2 --context 32 --batch 4 --threads 1 --valid-windows 4 ";

/// A student of one layer, and teachers of other shapes.
struct Models {
  TemporaryFolder folder;
  std::string student = (folder / "student").string(), deep = (folder / "deep").string(),
              neox = (folder / "neox").string(), out = (folder / "out").string();
  Models() {
    const auto make = [&](const std::string& name, const std::string& flags) {
      REQUIRE(run(folder, "pretrain --built-in --tokens 256 --out " + name + flags + shape).code == 0);
    };
    make(student, " --dim 16 --hidden 24 --layers 1 --kv-heads 1");
    make(deep, " --dim 24 --hidden 32 --layers 2 --kv-heads 1");
    make(neox, " --family gpt-neox --dim 32 --hidden 40 --layers 1 --kv-heads 0");
  }
  [[nodiscard]] Outcome binarize(const std::string& flags, const std::string& to = {}, int context = 32) const {
    return run(folder, "binarize --channel-scale-steps 2 --chunks 4 --model " + student + job + flags + " --context " +
                           std::to_string(context) + " --out " + (to.empty() ? out : to));
  }
  void check_refused(const std::string& flags, const std::string& id, const std::string& said, int context = 32) const {
    for (const char* dry : {"", " --dry-run"}) {
      const auto refused = binarize(flags + dry, {}, context);
      INFO(refused.error);
      CHECK(refused.code == 1);
      CHECK(contains(refused.error, id));
      CHECK(contains(refused.error, said));
      CHECK_FALSE(fs::exists(out));
    }
  }
};

std::string bytes_of(const std::string& folder) { return read_text(fs::path(folder) / "binary/model.safetensors"); }

}  // namespace

TEST_CASE("a teacher of any family and depth, in full precision or packed; who it is stands in run.json") {
  const Models models;
  const std::string first = models.folder / "first", second = models.folder / "second";
  REQUIRE(models.binarize(" --teacher " + models.neox, first).code == 0);
  const auto record = nlohmann::json::parse(read_text(fs::path(first) / "run.json")).at("learning");
  CHECK(record.at("loss").at("distillation") == 0.5);
  CHECK(record.at("hash").get<std::string>().size() == 16);
  const auto again = models.binarize(" --temperature 2 --distillation 1 --teacher " + first + "/packed", second);
  INFO(again.error);
  REQUIRE(again.code == 0);
  CHECK(contains(again.error, "learns from " + first + "/packed (llama), 1 of the loss its predictions"));
  CHECK(bytes_of(first) != bytes_of(second));
}

TEST_CASE("a method whose loss wants a teacher learns from the model that it starts from, and says so") {
  const Models models;
  const auto made = models.binarize(" --distillation 1 --hidden-states 1");
  INFO(made.error);
  REQUIRE(made.code == 0);
  CHECK(contains(made.error, "learns from " + models.student));
  const auto dry = models.binarize(" --distillation 1 --dry-run --json", models.folder / "dry");
  REQUIRE(dry.code == 0);
  const auto forecast = nlohmann::json::parse(dry.out);
  CHECK(contains(forecast.at("learns_from").get<std::string>(), models.student));
  CHECK(forecast.at("forecast").at("teacher").get<long>() > 16 * 256 * 4);
  const auto alone = run(
      models.folder, "pretrain --distillation 1 --out " + (models.folder / "never").string() + " --context 32" + job);
  CHECK(alone.code == 1);
  CHECK(contains(alone.error, "E304"));
}

TEST_CASE("a teacher that cannot teach is refused before anything is written, in a dry run too") {
  const Models models;
  models.check_refused(" --teacher " + models.folder.path().string() + "/nobody", "E201", "nobody");
  models.check_refused(" --distillation 0 --teacher " + models.deep, "E302", "of whom nothing is wanted");
  models.check_refused(" --hidden-states 1 --teacher " + models.deep, "E302", "16 numbers wide");
  models.check_refused(" --distillation 2 --teacher " + models.deep, "E304", "distillation");
  const std::string brief = models.folder / "brief";
  REQUIRE(run(models.folder, "pretrain --built-in --tokens 256 --dim 16 --hidden 24 --layers 1 --out " + brief +
                                 " --heads 2 --kv-heads 1 --context 16 --batch 4 --threads 1 --valid-windows 4")
              .code == 0);
  models.check_refused(" --teacher " + brief, "E302", "32 positions");
}

TEST_CASE("a teacher of another tokenizer is refused") {
  const auto real = data_file("models/stories260K/oracle_greedy_n64.txt");
  if (!real) return;
  const Models models;
  models.check_refused(" --teacher " + fs::path(*real).parent_path().string(), "E302", "tokens");
}

TEST_CASE("a teacher's predictions in a file: written once, learnt from, and refused for other tokens") {
  const Models models;
  const std::string file = models.folder / "teacher.top";
  const auto taught =
      run(models.folder, "teach --built-in --tokens 1024 --top 8 --context 32 --threads 1 --json --model " +
                             models.deep + " --out " + file);
  INFO(taught.error);
  REQUIRE(taught.code == 0);
  const auto report = nlohmann::json::parse(taught.out);
  CHECK(report.at("top") == 8);
  CHECK(report.at("bytes").get<long>() == 128 + report.at("tokens").get<long>() * (4 + 8 * 4 + 8 * 2));
  const std::string first = models.folder / "first", second = models.folder / "second";
  REQUIRE(models.binarize(" --distillation 1 --teacher " + file, first).code == 0);
  const auto record = nlohmann::json::parse(read_text(fs::path(first) / "run.json")).at("learning");
  CHECK(record.at("predictions").at("hash") == report.at("hash"));
  models.check_refused(" --seed 2 --teacher " + file, "E302", "predictions for the text");
  models.check_refused(" --teacher " + file, "E302", "16 tokens a sequence", 16);
  models.check_refused(" --temperature 2 --teacher " + file, "E302", "temperature");
  // Hidden states are no part of it: the start model shows its own.
  const auto both = models.binarize(" --distillation 1 --hidden-states 1 --teacher " + file, second);
  INFO(both.error);
  REQUIRE(both.code == 0);
  CHECK(bytes_of(first) != bytes_of(second));
}

TEST_CASE("a run with a teacher that is killed and resumed ends as one that was not; another teacher is refused") {
  const Models models;
  const std::string flags =
      "binarize --channel-scale-steps 2 --chunks 5 --built-in --tokens 20000 --batch 4 --context 32 "
      "--threads 1 --valid-windows 4 --checkpoint-every 20 --distillation 0.5 --model " +
      models.student + " --out ";
  const std::string states = " --hidden-states 0.5";
  const std::string whole = models.folder / "whole", killed = models.folder / "killed";
  REQUIRE(run(models.folder, flags + whole + states).code == 0);
  for (const char* seconds : {"0.1", "0.2", "0.3"}) {
    [[maybe_unused]] const int killed_status =
        ::system(("timeout -s KILL " + std::string(seconds) + " " + BINLLM_PROGRAM + " " + flags + killed + states +
                  resume_of(killed) + " >/dev/null 2>&1")
                     .c_str());
  }
  const auto other = run(models.folder, flags + killed + states + " --resume --teacher " + models.deep);
  CHECK(other.code == 1);
  REQUIRE(run(models.folder, flags + killed + states + resume_of(killed)).code == 0);
  CHECK(bytes_of(whole) == bytes_of(killed));
  const auto changed = run(models.folder, flags + killed + " --resume --teacher " + models.deep);
  CHECK(changed.code == 1);
  CHECK(contains(changed.error, "E502"));
  CHECK(contains(changed.error, "learning/hash"));
}

TEST_CASE("texts that a model makes up: a token file or JSON lines, the same of the same seed") {
  const Models models;
  const auto make = [&](const std::string& name, const std::string& flags = "") {
    const auto made = run(models.folder, "dataset --documents 5 --document-tokens 20 --threads 1 --json --model " +
                                             models.deep + flags + " --out " + (models.folder / name).string());
    INFO(made.error);
    REQUIRE(made.code == 0);
    return nlohmann::json::parse(made.out);
  };
  const auto report = make("a.ids");
  CHECK(report.at("documents") == 5);
  CHECK(report.at("tokens").get<long>() <= 100);
  make("b.ids");
  make("c.ids", " --seed 2");
  CHECK(read_text(models.folder / "a.ids") == read_text(models.folder / "b.ids"));
  CHECK(read_text(models.folder / "a.ids") != read_text(models.folder / "c.ids"));
  make("d.jsonl");
  CHECK(nlohmann::json::parse(
            read_text(models.folder / "d.jsonl").substr(0, read_text(models.folder / "d.jsonl").find('\n')))
            .contains("text"));
  const auto learnt = run(models.folder,
                          "pretrain --dim 16 --hidden 24 --layers 1 --heads 2 --kv-heads 1 --context 16 "
                          "--batch 2 --threads 1 --text " +
                              (models.folder / "a.ids").string() + " --out " + models.out);
  INFO(learnt.error);
  CHECK(learnt.code == 0);
  CHECK(run(models.folder, "dataset --document-tokens 40 --model " + models.deep + " --out " + models.out + "x").code ==
        1);
}

TEST_CASE("bits: Table 8, by shape and by folder") {
  const Models models;
  const auto table = run(models.folder, "bits --shape llama2-7b");
  REQUIRE(table.code == 0);
  CHECK(contains(table.out, "| BinaryLLM |  1.01 |      1.34 |     0.17 |"));
  CHECK(contains(table.out, "| FP16      |    16 |     13.48 |     1.72 |"));
  const auto line = run(models.folder, "bits --shape Pythia-70M --json");
  REQUIRE(line.code == 0);
  CHECK(nlohmann::json::parse(line.out).at("parameters") == 70426624);
  const auto folder = run(models.folder, "bits --json --model " + models.student);
  REQUIRE(folder.code == 0);
  CHECK(nlohmann::json::parse(folder.out).at("file").at("block_linears_with_scales") == 32);
  CHECK(run(models.folder, "bits").code == 1);
  CHECK(run(models.folder, "bits --shape GPT-5").code == 1);
}
