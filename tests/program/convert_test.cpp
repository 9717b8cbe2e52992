// SPDX-License-Identifier: MIT
#include "program.hpp"

#include "data_kit.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <string>

using namespace binllm::test;

TEST_CASE("convert: a model goes into GGUF and back, and what is lost is said") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), file = (folder / "model.gguf").string(),
                    again = (folder / "again").string();
  REQUIRE(run(folder, "pretrain --built-in --tokens 1024 --out " + model + tiny).code == 0);
  const auto written = run(folder, "convert " + model + " " + file + " --type f32 --json");
  INFO(written.error);
  REQUIRE(written.code == 0);
  const auto report = nlohmann::json::parse(written.out);
  CHECK(report.at("bits").at("block_linears_with_scales") == 32);
  CHECK(report.at("lost").size() == 1);  // bytes are no tokenizer of GGUF's
  CHECK(run(folder, "convert --from " + file + " --to " + again + " --type f32").code == 0);

  const std::string text = " --built-in --windows 2 --context 32 --threads 1 --json";
  const auto nll = [&](const std::string& from) {
    const auto judged = run(folder, "evaluate --model " + from + text);
    INFO(judged.error);
    REQUIRE(judged.code == 0);
    return nlohmann::json::parse(judged.out).at("nll").get<double>();
  };
  CHECK(nll(file) == nll(model));
  CHECK(nll(again) == nll(model));

  const auto half = run(folder, "convert " + model + " " + file);
  CHECK(contains(half.out, "numbers were rounded"));
  CHECK(contains(half.out, "16.0000 blocks' linear layers"));
  const auto inspected = run(folder, "inspect --model " + file + " --verify");
  CHECK(inspected.code == 0);
  CHECK(contains(inspected.out, "model.gguf"));
  CHECK(run(folder, "convert " + model + " " + model).code == 1);
  CHECK(run(folder, "convert " + model).code == 2);
  CHECK(run(folder, "convert " + model + " " + file + " --type q8_0").code == 2);
}

TEST_CASE("convert: llama.cpp computes the same from what is written") {
  const char* const python = std::getenv("BINLLM_PYTHON");
  if (python == nullptr) {
    MESSAGE("skipped: BINLLM_PYTHON names no Python with llama-cpp-python");
    return;
  }
  const auto weights = data_file("models/stories260K/model.safetensors");
  const auto text = data_file("lm/tinystories/valid_head.txt");
  if (!weights || !text) return;
  const TemporaryFolder folder;
  const std::string file = (folder / "stories.gguf").string();
  const std::string model = std::filesystem::path(*weights).parent_path().string();
  REQUIRE(run(folder, "convert " + model + " " + file + " --type f32").code == 0);
  const std::string command = std::string(python) + " " BINLLM_SOURCE_DIR "/bench/peers/llama_cpp_parity.py " + file +
                              " " + *text + " --windows 2 --check 1e-5 --program " BINLLM_PROGRAM " >" +
                              (folder / "parity").string();
  CHECK(std::system(command.c_str()) == 0);
  MESSAGE(read_text(folder / "parity").substr(0, 300));
}
