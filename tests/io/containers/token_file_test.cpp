// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/io/containers/token_file.hpp>

#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

using Ids = std::vector<std::int32_t>;

void write(const std::filesystem::path& path, std::uint64_t vocabulary, const Ids& ids) {
  TokenFileWriter writer(path, vocabulary, 42);
  writer.append(ids);
  writer.append({});
  writer.append(std::span(ids).first(1));
  writer.commit(99);
}

Error read_error(const std::filesystem::path& path) {
  return error_of([&] { (void)TokenFile(path); });
}

}  // namespace

TEST_CASE("ids come back, with two bytes each or with four") {
  const TemporaryFolder folder;
  for (const std::uint64_t vocabulary : {0x10000u, 0x10001u}) {
    write(folder / "ids", vocabulary, {0, 65535, 7});
    TokenFile file(folder / "ids");
    CHECK(Ids(file.ids().begin(), file.ids().end()) == Ids{0, 65535, 7, 0});
    CHECK(file.header().bytes_per_id == (vocabulary == 0x10000u ? 2 : 4));
    CHECK(std::filesystem::file_size(folder / "ids") == 64 + 4 * file.header().bytes_per_id);
    CHECK(file.header().vocab_size == vocabulary);
    CHECK(file.header().text_bytes == 99);
    CHECK(file.header().tokenizer == 42);
    const MappedMemory memory = file.release();
    CHECK(file.ids()[2] == 7);  // the memory lives on
  }
}

TEST_CASE("no file appears before commit, and none with an id outside the vocabulary") {
  const TemporaryFolder folder;
  {
    TokenFileWriter writer(folder / "ids", 10, 0);
    CHECK(error_of([&] { writer.append(std::vector{3, 10}); }).id() == ErrorId::token_out_of_range);
    CHECK(error_of([&] { writer.append(std::vector{-1}); }).id() == ErrorId::token_out_of_range);
  }
  CHECK(folder.files() == 0);
  CHECK(error_of([&] { TokenFileWriter(folder / "ids", 0, 0); }).id() == ErrorId::option_out_of_range);
  write(folder / "ids", 300, {1, 2});
  const std::string before = read_text(folder / "ids");
  const FullDisk full(100);
  CHECK(error_of([&] { write(folder / "ids", 300, Ids(1000, 1)); }).id() == ErrorId::write_failed);
  CHECK(read_text(folder / "ids") == before);
}

TEST_CASE("every flipped bit is found, and every cut") {
  const TemporaryFolder folder;
  for (const std::uint64_t vocabulary : {300u, 70000u}) {
    write(folder / "ids", vocabulary, {1, 2, 3, 299});
    const std::string whole = read_text(folder / "ids");
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      const std::size_t byte = bit / 8;
      const bool may_change = (byte >= 16 && byte < 24) || (byte >= 32 && byte < 48);  // vocabulary, text, tokenizer
      std::string damaged = whole;
      damaged[byte] = static_cast<char>(damaged[byte] ^ 1 << bit % 8);
      write_text(folder / "damaged", damaged);
      if (!may_change) CHECK_THROWS_AS((void)TokenFile(folder / "damaged"), Error);
    }
    for (std::size_t size = 0; size < whole.size(); ++size) {
      write_text(folder / "damaged", whole.substr(0, size));
      CHECK_THROWS_AS((void)TokenFile(folder / "damaged"), Error);
    }
    write_text(folder / "damaged", whole.substr(0, whole.size() - 4));
    CHECK(read_error(folder / "damaged").id() == ErrorId::file_truncated);
    write_text(folder / "damaged", whole + "x");
    CHECK(read_error(folder / "damaged").id() == ErrorId::header_invalid);
  }
  CHECK(read_error(folder / "nowhere").id() == ErrorId::file_missing);
  write_text(folder / "text", "some text");
  CHECK(read_error(folder / "text").id() == ErrorId::header_invalid);
}

TEST_CASE("a newer version and a count that overflows are refused") {
  const TemporaryFolder folder;
  write(folder / "ids", 300, {1, 2, 3});
  std::string text = read_text(folder / "ids");
  text[8] = 2;
  write_text(folder / "newer", text);
  CHECK(read_error(folder / "newer").id() == ErrorId::version_unsupported);
  text[8] = 1;
  text.replace(24, 8, std::string(8, '\xff'));
  write_text(folder / "many", text);
  CHECK(read_error(folder / "many").id() == ErrorId::file_truncated);
}
