// SPDX-License-Identifier: MIT
#include "program.hpp"

#include <nlohmann/json.hpp>

using namespace binllm::test;
using nlohmann::json;

TEST_CASE("tokenize: ids that the other commands take for the text") {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string(), text = (folder / "text").string(),
                    ids = (folder / "ids").string();
  std::string story;
  for (int i = 0; i < 40; ++i) story += "Once upon a time there was a cat that counted to " + std::to_string(i) + ".\n";
  write_text(text, story);
  REQUIRE(run(folder, "pretrain --built-in --tokens 128" + tiny + "--out " + model).code == 0);
  const Outcome made = run(folder, "tokenize --json --text " + text + " --model " + model + " --out " + ids);
  REQUIRE(made.code == 0);
  CHECK(json::parse(made.out)["tokens"] == story.size());
  CHECK(json::parse(made.out)["bytes_per_id"] == 2);
  const auto judged = [&](const std::string& file) {
    const Outcome outcome =
        run(folder, "evaluate --json --threads 1 --context 32 --model " + model + " --text " + file);
    REQUIRE(outcome.code == 0);
    const json line = json::parse(outcome.out);
    return std::pair(line["nll"], line["bits_per_byte"]);
  };
  CHECK(judged(text) == judged(ids));

  const Outcome neither = run(folder, "tokenize --text " + text + " --out " + ids);
  CHECK(neither.code == 1);
  CHECK(neither.error.find("E304") != std::string::npos);
  const std::string golden = std::string(BINLLM_SOURCE_DIR) + "/tests/golden/tokenizers/llama3.json";
  const Outcome other = run(folder, "tokenize --text " + text + " --tokenizer " + golden + " --out " + ids);
  CHECK(other.code == 0);
  CHECK(other.out.find("byte-pair") != std::string::npos);
  const Outcome refused = run(folder, "evaluate --model " + model + " --text " + ids);
  CHECK(refused.code == 1);
  CHECK(refused.error.find("E302") != std::string::npos);
}
