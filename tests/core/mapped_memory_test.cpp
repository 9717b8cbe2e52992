// SPDX-License-Identifier: MIT
#include <binllm/core/mapped_memory.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

using binllm::Error;
using binllm::ErrorId;
using binllm::MappedMemory;
using binllm::TemporaryFile;

namespace {

std::string_view text_of(const MappedMemory& memory) {
  return {reinterpret_cast<const char*>(memory.bytes().data()), memory.bytes().size()};
}

ErrorId error_of_mapping(const std::string& path) {
  try {
    (void)MappedMemory::of_file(path);
  } catch (const Error& error) {
    return error.id();
  }
  FAIL("no error for ", path);
  return {};
}

}  // namespace

TEST_CASE("a file is mapped as it is, an empty one too") {
  const auto path = std::filesystem::temp_directory_path() / "binllm_mapped_memory_test.txt";
  std::ofstream(path) << "twelve bytes";
  const MappedMemory memory = MappedMemory::of_file(path);
  std::ofstream(path.string() + ".empty").close();
  CHECK(text_of(memory) == "twelve bytes");
  CHECK(MappedMemory::of_file(path.string() + ".empty").bytes().empty());
  std::filesystem::remove(path);
  std::filesystem::remove(path.string() + ".empty");
  CHECK(text_of(memory) == "twelve bytes");
}

TEST_CASE("files that cannot be mapped are refused by id") {
  CHECK(error_of_mapping("/no/such/file") == ErrorId::file_missing);
  CHECK(error_of_mapping(std::filesystem::temp_directory_path()) == ErrorId::file_unreadable);
}

TEST_CASE("a temporary file's pages outlive it") {
  MappedMemory memory;
  {
    TemporaryFile file;
    file.append("one ", 4);
    file.append("two", 3);
    memory = file.map();
  }
  CHECK(text_of(memory) == "one two");
  CHECK(TemporaryFile().map().bytes().empty());
}

TEST_CASE("a temporary folder that cannot be written is an error") {
  const char* const before = std::getenv("TMPDIR");
  const std::string saved = before != nullptr ? before : "";
  ::setenv("TMPDIR", "/no/such/folder", 1);
  ErrorId id{};
  try {
    TemporaryFile file;
  } catch (const Error& error) {
    id = error.id();
  }
  before != nullptr ? ::setenv("TMPDIR", saved.c_str(), 1) : ::unsetenv("TMPDIR");
  CHECK(id == ErrorId::write_failed);
}
