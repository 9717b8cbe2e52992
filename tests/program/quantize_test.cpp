// SPDX-License-Identifier: MIT
#include "program.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

using namespace binllm::test;
using nlohmann::json;

TEST_CASE("quantize: a model is quantised, judged, inspected, run, and drawn") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), out = (folder / "gptq").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 1024 --out " + model + tiny).code == 0);
  const std::string from = " --model " + model + " --built-in --windows 4 --context 32 --threads 1 --json --out ";
  const auto made = run(folder, "quantize --method gptq --bits 3 --activation-order" + from + out);
  INFO(made.error);
  REQUIRE(made.code == 0);
  const json report = json::parse(made.out);
  CHECK(report.at("form") == "grid");
  CHECK(report.at("bits") == 3);
  CHECK(report.at("bits_per_weight").get<double>() > 3);
  CHECK(report.at("output_error").get<double>() > 0);
  CHECK(report.at("output_error").get<double>() < 0.2);
  CHECK(run(folder, "inspect --verify --model " + out).code == 0);
  CHECK(run(folder, "evaluate --built-in --windows 2 --context 32 --threads 1 --model " + out).code == 0);
  CHECK(run(folder, "generate --max-tokens 4 --threads 1 --prompt a --model " + out).code == 0);
  const std::string lines = read_text(folder / "gptq" / "quantize.jsonl");
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 8);  // seven layers and the whole

  const std::string picture = (folder / "bits.svg").string();
  const auto drawn = run(folder, "plot --lines " + out + "/quantize.jsonl --out " + picture);
  if (drawn.code == 0) {
    CHECK(contains(read_text(picture), "<svg"));
  } else {
    CHECK(contains(drawn.error, "gnuplot"));
  }
  CHECK(run(folder, "plot --lines " + model + "/config.json --out " + picture).code == 1);
  CHECK(run(folder, "plot --lines " + out + "/absent --out " + picture).code == 1);
}

TEST_CASE("quantize: what cannot be done is said before anything is written") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), out = (folder / "out").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 1024 --out " + model + tiny).code == 0);
  const std::string short_text = (folder / "short.txt").string();
  std::ofstream(short_text) << "too short a text";
  const auto refused = [&](const std::string& arguments, const std::string& word) {
    const auto outcome =
        run(folder, "quantize --threads 1 --context 32 --model " + model + " --out " + out + " " + arguments);
    INFO(outcome.error);
    CHECK(outcome.code == 1);
    CHECK(contains(outcome.error, word));
    CHECK(!std::filesystem::exists(out));
  };
  refused("--method gptq --text " + short_text, "at least 128 windows of 32 tokens");
  refused("--method gptq", "wanted windows of tokens");
  refused("--method gpt --built-in", "gptq");
  refused("--method rtn --bits 5", "1, 1.58, 2, 3, 4 or 8");
  refused("--method rtn --bits x", "bits");
  refused("--method rtn --damping 1", "damping");
  const auto list = run(folder, "quantize --method list");
  CHECK(list.code == 0);
  CHECK(contains(list.out, "| awq-gptq |"));
}

TEST_CASE("quantize: work that fails leaves no folder, and a save that fails no model") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), large = (folder / "large").string();
  const std::string text = (folder / "text.txt").string();
  std::ofstream(text) << std::string(400, 'a') + std::string(400, 'b');
  const std::string train = "pretrain --tokens 128 --held-out 0 --sample-tokens 0 --text " + text + tiny + " --out ";
  REQUIRE(run(folder, train + model).code == 0);
  // Its numbers are finite, and their products are not.
  REQUIRE(run(folder, train + large + " --learning-rate 1e20 --last-learning-rate 1e20 --warmup 0 --clip 0").code == 0);
  const std::string job = "quantize --windows 4 --context 32 --threads 1 --text " + text;
  const std::filesystem::path out = folder / "out";
  const auto failed = run(folder, job + " --out " + out.string() + " --model " + large);
  CAPTURE(failed.error);
  CHECK(failed.code == 1);
  CHECK(contains(failed.error, "inf or NaN"));
  CHECK_FALSE(std::filesystem::exists(out));

  const auto full = run_shell(folder, "trap '' XFSZ; ulimit -f 20; " + std::string(BINLLM_PROGRAM) + " " + job +
                                          " --out " + out.string() + " --model " + model);
  CAPTURE(full.error);
  CHECK(full.code == 1);
  CHECK(contains(full.error, "E207"));
  CHECK_FALSE(std::filesystem::exists(out / "config.json"));
  CHECK_FALSE(std::filesystem::exists(out / "quantize.jsonl"));
}
