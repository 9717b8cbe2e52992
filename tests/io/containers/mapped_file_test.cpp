// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/io/containers/mapped_file.hpp>

#include <unistd.h>

#include <utility>

using namespace binllm::test;
using binllm::Error;
using binllm::ErrorId;
using binllm::MappedFile;

namespace {

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

TEST_CASE("a mapped file shows its bytes, also after it is moved or replaced") {
  const TemporaryFolder folder;
  write_text(folder / "a", std::string("\0text", 5));
  write_text(folder / "b", "other");
  MappedFile file(folder / "a");
  std::filesystem::rename(folder / "b", folder / "a");
  CHECK(text_of(file) == std::string_view("\0text", 5));
  MappedFile moved(std::move(file));
  CHECK(text_of(moved) == std::string_view("\0text", 5));
  moved = MappedFile(folder / "a");
  CHECK(text_of(moved) == "other");
}

TEST_CASE("an empty file is an empty span") {
  const TemporaryFolder folder;
  write_text(folder / "empty", "");
  CHECK(MappedFile(folder / "empty").bytes().empty());
}

TEST_CASE("missing and unreadable files are told apart and named") {
  const TemporaryFolder folder;
  const auto error_at = [](const std::filesystem::path& path) {
    const Error error = error_of([&] { MappedFile file(path); });
    CHECK(contains(error.what(), path.string()));
    return error.id();
  };
  CHECK(error_at(folder / "missing") == ErrorId::file_missing);
  CHECK(error_at(folder.path()) == ErrorId::file_unreadable);
  CHECK(error_at("/dev/null") == ErrorId::file_unreadable);
  if (::geteuid() == 0) {
    MESSAGE("skipped: permissions do not bind root");
    return;
  }
  write_text(folder / "secret", "text");
  std::filesystem::permissions(folder / "secret", std::filesystem::perms::none);
  CHECK(error_at(folder / "secret") == ErrorId::file_unreadable);
}

TEST_CASE("pages that are released are read again from the file") {
  const TemporaryFolder folder;
  std::string text(300000, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  write_text(folder / "a", text);
  const MappedFile file(folder / "a");
  CHECK(text_of(file) == text);
  for (const auto& [first, count] : {std::pair{0, 300000}, {1, 299998}, {5000, 100}, {4096, 4096}, {300000, 0}}) {
    file.release(file.bytes().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
    CHECK(text_of(file) == text);
  }
}
