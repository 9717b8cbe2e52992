// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/io/containers/atomic_file.hpp>

#include <sys/stat.h>

#include <span>

using namespace binllm::test;
using binllm::AtomicFile;
using binllm::Error;
using binllm::ErrorId;

namespace {

void write(AtomicFile& file, std::string_view text) { file.write(std::as_bytes(std::span(text))); }

}  // namespace

TEST_CASE("an atomic file appears whole at commit and leaves nothing beside it") {
  const TemporaryFolder folder;
  write_text(folder / "model", "old");
  {
    AtomicFile file(folder / "model");
    write(file, "new ");
    write(file, "content");
    CHECK(read_text(folder / "model") == "old");
    file.commit();
    CHECK(read_text(folder / "model") == "new content");
    CHECK(error_of([&] { file.commit(); }).id() == ErrorId::write_failed);
    CHECK(error_of([&] { write(file, "late"); }).id() == ErrorId::write_failed);
  }
  CHECK(read_text(folder / "model") == "new content");
  CHECK(folder.files() == 1);
}

TEST_CASE("an atomic file that is not committed changes nothing") {
  const TemporaryFolder folder;
  write_text(folder / "model", "old");
  {
    AtomicFile file(folder / "model");
    write(file, "half");
    CHECK(folder.files() == 2);
  }
  CHECK(read_text(folder / "model") == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("a full disk while writing keeps the old file, removes the temporary one and says why") {
  const TemporaryFolder folder;
  write_text(folder / "model", "old");
  std::string message;
  ErrorId id{}, id_of_commit{};
  {
    const FullDisk disk(1000);
    AtomicFile file(folder / "model");
    write(file, std::string(900, 'x'));
    try {
      write(file, std::string(200, 'y'));
    } catch (const Error& error) {
      id = error.id();
      message = error.what();
    }
    try {
      file.commit();
    } catch (const Error& error) {
      id_of_commit = error.id();
    }
  }
  CHECK(id == ErrorId::write_failed);
  CHECK(id_of_commit == ErrorId::write_failed);
  CHECK(contains(message, "File too large"));
  CHECK(contains(message, (folder / "model").string()));
  CHECK(read_text(folder / "model") == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("the leftover of a killed process is reused") {
  const TemporaryFolder folder;
  write_text(folder / "model.tmp", std::string(100, 'z'));
  AtomicFile file(folder / "model");
  write(file, "new");
  file.commit();
  CHECK(read_text(folder / "model") == "new");
  CHECK(folder.files() == 1);
}

TEST_CASE("two writers of one file: the second is refused, the first unharmed") {
  const TemporaryFolder folder;
  AtomicFile first(folder / "model");
  write(first, "first");
  CHECK(error_of([&] { AtomicFile second(folder / "model"); }).id() == ErrorId::write_failed);
  first.commit();
  CHECK(read_text(folder / "model") == "first");
}

TEST_CASE("atomic files in places that cannot be written are refused at once") {
  const TemporaryFolder folder;
  write_text(folder / "file", "");
  std::filesystem::create_directory(folder / "folder");
  std::filesystem::create_symlink(folder / "file", folder / "linked.tmp");
  for (const char* name : {"missing/model", "file/model", "folder", "linked"}) {
    CAPTURE(name);
    const Error error = error_of([&] { AtomicFile file(folder / name); });
    CHECK(error.id() == ErrorId::write_failed);
    CHECK(contains(error.what(), (folder / name).string()));
  }
}

TEST_CASE("check_writable creates folders, leaves no trace in them, and refuses what cannot be written") {
  const TemporaryFolder folder;
  binllm::check_writable(folder / "run/of/today");
  CHECK(std::filesystem::is_empty(folder / "run/of/today"));
  binllm::check_writable(folder / "run/of/today");

  write_text(folder / "file", "");
  for (const auto& bad : {folder / "file", folder / "file/below", std::filesystem::path("/proc/binllm")}) {
    CAPTURE(bad.string());
    const Error error = error_of([&] { binllm::check_writable(bad); });
    CHECK(error.id() == ErrorId::write_failed);
    CHECK(contains(error.what(), bad.string()));
  }

  ErrorId id{};
  {
    const FullDisk disk(0);
    try {
      binllm::check_writable(folder / "run");
    } catch (const Error& error) {
      id = error.id();
    }
  }
  CHECK(id == ErrorId::write_failed);
}
