// SPDX-License-Identifier: MIT
#include "../../../support/family_tests.hpp"
#include "../../support.hpp"

#include <binllm/io/folders/convert.hpp>
#include <binllm/io/folders/model_tensors.hpp>

#include <string>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("gguf: every family that llama.cpp has comes back number for number") {
  for (const char* name : {"llama", "llama_biases", "gpt_neox", "qwen3", "qwen3_biases"}) {
    CAPTURE(std::string(name));
    const TemporaryFolder folder;
    write_golden_folder(read_golden(name), folder / "model");
    (void)convert_model(folder / "model", folder / "model.gguf", {.type = DType::f32});
    const auto before = read_config(folder / "model"), after = read_config(folder / "model.gguf");
    CHECK(before.family == after.family);
    CHECK(before.config.attention_bias == after.config.attention_bias);
    CHECK(before.config.mlp_bias == after.config.mlp_bias);
    CHECK(before.config.rotary_dim() == after.config.rotary_dim());
    const ModelTensors a(folder / "model", before), b(folder / "model.gguf", after);
    REQUIRE(a.all().size() == b.all().size());
    for (const ModelTensor& tensor : a.all()) {
      CAPTURE(tensor.name);
      REQUIRE(b.find(tensor.name) != nullptr);
      CHECK(a.numbers(tensor) == b.numbers(*b.find(tensor.name)));
    }
  }
}

TEST_CASE("gguf: a family that llama.cpp does not have is refused by name") {
  const TemporaryFolder folder;
  write_golden_folder(read_golden("opt"), folder / "model");
  const Error error = error_of([&] { (void)convert_model(folder / "model", folder / "model.gguf"); });
  CHECK(error.id() == ErrorId::config_inconsistent);
  CHECK(error.found() == "opt");
}
