// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/io/containers/json_lines.hpp>

#include <string>

using namespace binllm::test;
using binllm::Error;
using binllm::ErrorId;
using binllm::JsonLines;

TEST_CASE("lines are in the file as soon as append returns") {
  const TemporaryFolder folder;
  JsonLines lines(folder / "metrics.jsonl");
  CHECK(lines.bytes() == 0);
  lines.append(R"({"step":1})");
  CHECK(read_text(folder / "metrics.jsonl") == "{\"step\":1}\n");
  CHECK(lines.bytes() == 11);
  lines.append(R"({"step":2})");
  lines.sync();
  CHECK(read_text(folder / "metrics.jsonl") == "{\"step\":1}\n{\"step\":2}\n");
}

TEST_CASE("reopening appends, or cuts back to where a checkpoint stood: no gap, no repeat") {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  std::uint64_t at_checkpoint = 0;
  {
    JsonLines lines(path);
    lines.append("{\"step\":1}");
    at_checkpoint = lines.bytes();
    lines.append("{\"step\":2}");
  }
  { JsonLines(path).append("{\"step\":3}"); }
  CHECK(read_text(path) == "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
  write_text(path, read_text(path) + "{\"st");  // killed inside a line

  JsonLines resumed(path, at_checkpoint);
  CHECK(resumed.bytes() == at_checkpoint);
  resumed.append("{\"step\":2}");
  CHECK(read_text(path) == "{\"step\":1}\n{\"step\":2}\n");
  CHECK(JsonLines(path, 0).bytes() == 0);
  CHECK(read_text(path).empty());
}

TEST_CASE("a log shorter than the checkpoint says is refused and left alone") {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  write_text(path, "{}\n");
  const Error error = error_of([&] { JsonLines lines(path, 4); });
  CHECK(error.id() == ErrorId::resume_mismatched);
  CHECK(contains(error.what(), path.string()));
  CHECK(read_text(path) == "{}\n");
}

TEST_CASE("a line that does not fit on the disk is taken back whole") {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  JsonLines lines(path);
  lines.append("{\"step\":1}");
  ErrorId id{};
  {
    const FullDisk disk(15);
    try {
      lines.append("{\"step\":2}");
    } catch (const Error& error) {
      id = error.id();
    }
  }
  CHECK(id == ErrorId::write_failed);
  CHECK(lines.bytes() == 11);
  CHECK(read_text(path) == "{\"step\":1}\n");
  lines.append("{\"step\":2}");
  CHECK(read_text(path) == "{\"step\":1}\n{\"step\":2}\n");
}

TEST_CASE("a device without space and a folder without a file are errors with the system's reason") {
  const TemporaryFolder folder;
  JsonLines full("/dev/full");
  const Error error = error_of([&] { full.append("{}"); });
  CHECK(error.id() == ErrorId::write_failed);
  CHECK(contains(error.found(), "No space left on device"));
  CHECK(error_of([&] { JsonLines lines(folder.path()); }).id() == ErrorId::write_failed);
  CHECK(error_of([&] { JsonLines lines(folder / "missing/metrics.jsonl"); }).id() == ErrorId::write_failed);
}

TEST_CASE("a link to a file, or to nothing, is not followed; one to a device is") {
  const TemporaryFolder folder;
  write_text(folder / "precious", "precious");
  for (const char* target : {"precious", "absent"}) {
    std::filesystem::remove(folder / "log");
    std::filesystem::create_symlink(folder / target, folder / "log");
    const Error error = error_of([&] { JsonLines(folder / "log", 0); });
    CHECK(error.id() == ErrorId::write_failed);
    CHECK(contains(error.found(), "a symbolic link"));
  }
  CHECK(read_text(folder / "precious") == "precious");
  std::filesystem::remove(folder / "log");
  std::filesystem::create_symlink("/dev/null", folder / "log");
  JsonLines(folder / "log", 0).append("{}");
}

TEST_CASE("what is not one line is refused") {
  const TemporaryFolder folder;
  JsonLines lines(folder / "metrics.jsonl");
  CHECK(error_of([&] { lines.append(""); }).id() == ErrorId::option_out_of_range);
  CHECK(error_of([&] { lines.append("{}\n"); }).id() == ErrorId::option_out_of_range);
  CHECK(read_text(folder / "metrics.jsonl").empty());
}
