// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

using binllm::Error;
using binllm::ErrorId;

TEST_CASE("an error says what was asked of whom, what was wanted and what was found") {
  const Error error(ErrorId::shape_mismatch, "matmul", "b", "(3, 4)", "(4, 3)");
  CHECK(std::string(error.what()) == "E101: matmul: b: wanted (3, 4), found (4, 3)");
  CHECK(error.id() == ErrorId::shape_mismatch);
  CHECK(error.operation() == "matmul");
  CHECK(error.argument() == "b");
  CHECK(error.wanted() == "(3, 4)");
  CHECK(error.found() == "(4, 3)");
}

TEST_CASE("an error is caught as a runtime_error, and copies keep everything") {
  try {
    throw Error(ErrorId::file_missing, "open", "model.safetensors", "a file", "none");
  } catch (const std::runtime_error& caught) {
    const auto* error = dynamic_cast<const Error*>(&caught);
    REQUIRE(error != nullptr);
    const Error copy = *error;
    CHECK(copy.argument() == "model.safetensors");
    CHECK(std::string(copy.what()) == caught.what());
  }
}
