// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/io/folders/identity.hpp>

#include <doctest/doctest.h>

#include <filesystem>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("hash of a model: of its files' bytes, whatever stands beside them and wherever it lies") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "m");
  const auto write = [&](const std::string& name, const std::string& text) { write_text(folder / "m" / name, text); };
  write("config.json", "{}");
  write("model.safetensors", "abc");
  const auto model = hash_of_model(folder / "m"), weights = hash_of_weights(folder / "m"),
             config = hash_of_config(folder / "m");
  write("README.md", "more");
  CHECK(hash_of_model(folder / "m") == model);
  std::filesystem::rename(folder / "m", folder / "moved");
  CHECK(hash_of_model(folder / "moved") == model);
  CHECK(hash_of_weights(folder / "moved") == weights);
  std::filesystem::rename(folder / "moved", folder / "m");
  write("model.safetensors", "abd");
  CHECK(hash_of_model(folder / "m") != model);
  CHECK(hash_of_weights(folder / "m") != weights);
  CHECK(hash_of_config(folder / "m") == config);
  write("config.json", "{ }");
  CHECK(hash_of_config(folder / "m") != config);
  CHECK(hash_of_model(folder / "m" / "model.safetensors") != model);
  CHECK(error_of([&] { static_cast<void>(hash_of_model(folder / "none")); }).id() == ErrorId::file_missing);
}
