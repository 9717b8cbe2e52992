// SPDX-License-Identifier: MIT
// Every input that is kept, once: seeds, and what once made a target fail.
#include "target.hpp"

#include <doctest/doctest.h>

#include <iterator>

namespace fs = std::filesystem;

namespace {

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<fs::path> inputs(const fs::path& folder) {
  std::vector<fs::path> all;
  if (!fs::is_directory(folder)) return all;
  for (const auto& entry : fs::directory_iterator(folder)) all.push_back(entry.path());
  return all;
}

}  // namespace

TEST_CASE("every seed is taken, and what once made a target fail ends as it should") {
  const fs::path here = fs::path(BINLLM_SOURCE_DIR) / "tests/fuzz";
  for (const binllm::fuzz::Target& target : binllm::fuzz::targets()) {
    CAPTURE(target.name);
    const auto seeds = inputs(here / "seeds" / target.name);
    CHECK(!seeds.empty());
    for (const fs::path& path : seeds) {
      INFO("input: ", path.string());
      CHECK(target.run(content(path)));
    }
    for (const fs::path& path : inputs(here / "found" / target.name)) {
      INFO("input: ", path.string());
      CHECK_NOTHROW(target.run(content(path)));
    }
  }
}

TEST_CASE("a checksum that does not hold is mended once its error has named both") {
  std::string input = R"({"checksum":"0123456789abcdef"})";
  const std::string message = "E204: wanted the checksum 0123456789abcdef, found fedcba9876543210: damaged";
  CHECK(binllm::fuzz::mend_checksum(input, message));
  CHECK(input == R"({"checksum":"fedcba9876543210"})");
  CHECK(!binllm::fuzz::mend_checksum(input, "E301: wanted a number, found a string"));
}

TEST_CASE("an input is a folder of those of its files that are known") {
  binllm::fuzz::InputFolder folder({"a", "b/c"});
  const fs::path path = folder.with("=== a\none\n\n=== b/c\n=== ../d\nother\n=== b/c\ntwo");
  CHECK(content(path / "a") == "one\n");
  CHECK(content(path / "b/c") == "two");
  CHECK(std::distance(fs::directory_iterator(path), {}) == 2);
  CHECK(fs::is_empty(folder.with("no mark")));
}
