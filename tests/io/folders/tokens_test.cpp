// SPDX-License-Identifier: MIT
#include "../support.hpp"

#include <binllm/io/folders/tokens.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <algorithm>
#include <array>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Bytes, and an end: 256.
class WithEnd final : public Tokenizer::Interface {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override { bytes_.encode(text, ids); }
  std::string decode(std::span<const std::int32_t> ids) const override { return bytes_.decode(ids); }
  Index vocab_size() const override { return 257; }
  std::string_view name() const override { return "with-end"; }
  std::size_t bytes_of(std::int32_t id) const override { return id < 256 ? 1 : 0; }
  std::optional<std::int32_t> bos() const override { return 256; }
  std::optional<std::int32_t> eos() const override { return 256; }
  std::size_t cut(std::string_view text, std::size_t from, std::size_t target) const override {
    return bytes_.cut(text, from, target);
  }

 private:
  ByteLevel bytes_;
};

Tokenizer with_end() { return Tokenizer(std::make_shared<const WithEnd>()); }

/// A text with '#' for the end, as the tokenizer above has its ids.
std::vector<std::int32_t> ids_of(std::string_view text) {
  std::vector<std::int32_t> ids;
  for (const char c : text) ids.push_back(c == '#' ? 256 : static_cast<unsigned char>(c));
  return ids;
}

std::vector<std::int32_t> written(const TemporaryFolder& folder, const std::string& name, std::string_view text,
                                  const DocumentOptions& options = {}) {
  write_text(folder / name, text);
  write_token_file({folder / name}, folder / "ids", with_end(), options);
  const TokenStream stream = load_tokens(folder / "ids", with_end());
  return {stream.tokens().begin(), stream.tokens().end()};
}

/// "one\n<|endoftext|>\ntwo\n" as zstd 1.5 compresses it.
std::string compressed() {
  constexpr std::array<unsigned char, 35> bytes{0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x68, 0xb1, 0x00, 0x00, 0x6f, 0x6e, 0x65,
                                                0x0a, 0x3c, 0x7c, 0x65, 0x6e, 0x64, 0x6f, 0x66, 0x74, 0x65, 0x78, 0x74,
                                                0x7c, 0x3e, 0x0a, 0x74, 0x77, 0x6f, 0x0a, 0x32, 0xc5, 0x5e, 0xb5};
  return {bytes.begin(), bytes.end()};
}

const DocumentOptions separated{.separator = "<|endoftext|>"};

}  // namespace

TEST_CASE("a token file gives the stream that its text gives") {
  const TemporaryFolder folder;
  const std::string text(100000, 'x');
  write_text(folder / "a.txt", text + "\nend");
  const TokenFileHeader header = write_token_file({folder / "a.txt"}, folder / "ids", with_end());
  const TokenStream direct = load_tokens(folder / "a.txt", with_end()),
                    stored = load_tokens(folder / "ids", with_end());
  CHECK(header.count == 100005);
  CHECK(stored.hash() == direct.hash());
  CHECK(stored.text_bytes() == direct.text_bytes());
  CHECK(stored.bytes_of(0, stored.size()) == 100004);
  CHECK(std::equal(stored.tokens().begin(), stored.tokens().end(), direct.tokens().begin(), direct.tokens().end()));
}

TEST_CASE("lines that are the separator become its token") {
  const TemporaryFolder folder;
  const auto ids = [&](std::string_view text) { return written(folder, "a.txt", text, separated); };
  CHECK(ids("one\n<|endoftext|>\ntwo\n") == ids_of("#one\n#two\n"));
  CHECK(ids("<|endoftext|>\r\none\n<|endoftext|>") == ids_of("##one\n#"));
  CHECK(ids("x<|endoftext|>\n<|endoftext|>y\n") == ids_of("#x<|endoftext|>\n<|endoftext|>y\n"));
  CHECK(written(folder, "a.txt", "<|endoftext|>\n") == ids_of("#<|endoftext|>\n"));
  const auto bytes = byte_tokenizer();
  CHECK(error_of([&] { write_token_file({folder / "a.txt"}, folder / "b", bytes, separated); }).id() ==
        ErrorId::option_out_of_range);
}

TEST_CASE("JSON lines: a document each, the separator after each") {
  const TemporaryFolder folder;
  const std::string lines = "{\"text\": \"one\", \"n\": 1}\n\n{\"other\": \"x\", \"text\": \"t\\u0077o\"}\r\n";
  CHECK(written(folder, "a.jsonl", lines, separated) == ids_of("#one#two#"));
  CHECK(written(folder, "a.jsonl", lines) == ids_of("#onetwo"));
  const auto refused = [&](std::string_view text, const DocumentOptions& options = {}) {
    const Error error = error_of([&] { (void)written(folder, "a.jsonl", text, options); });
    CHECK(error.id() == ErrorId::config_invalid);
    return std::string(error.what());
  };
  CHECK(contains(refused("{\"text\": \"a\"}\n{\"text\": 1}\n"), "line 2"));
  CHECK(contains(refused("{\"text\": \"a\"}\n", {.field = "body"}), "\"body\""));
  CHECK(contains(refused("{\"text\": \"a\"\n"), "line 1"));
  CHECK(contains(refused("[1]\n"), "array"));
  CHECK(contains(refused("{\"text\": \"\xff\"}\n"), "line 1"));
}

TEST_CASE("compressed texts, for a token file or as they are") {
  const TemporaryFolder folder;
  try {
    CHECK(written(folder, "a.txt.zst", compressed(), separated) == ids_of("#one\n#two\n"));
  } catch (const Error& error) {
    if (error.id() != ErrorId::version_unsupported) throw;
    MESSAGE("skipped: binllm was built without libzstd");
    return;
  }
  CHECK(load_tokens(folder / "a.txt.zst", byte_tokenizer()).size() == 22);
  write_text(folder / "twice.zst", compressed() + compressed());
  CHECK(load_tokens(folder / "twice.zst", byte_tokenizer()).size() == 44);
  for (std::size_t size = 4; size < compressed().size(); ++size) {
    write_text(folder / "cut.zst", compressed().substr(0, size));
    CHECK(error_of([&] { (void)load_tokens(folder / "cut.zst", byte_tokenizer()); }).id() == ErrorId::file_truncated);
  }
  std::string damaged = compressed();
  damaged[12] = 'x';
  write_text(folder / "damaged.zst", damaged);
  CHECK(error_of([&] { (void)load_tokens(folder / "damaged.zst", byte_tokenizer()); }).id() ==
        ErrorId::file_unreadable);
}

TEST_CASE("several texts follow each other; no text, ids in place of a text and other tokenizers are refused") {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "a");
  write_text(folder / "b.txt", "b");
  write_text(folder / "empty.txt", "");
  write_token_file({folder / "a.txt", folder / "empty.txt", folder / "b.txt"}, folder / "ids", with_end());
  CHECK(load_tokens(folder / "ids", with_end()).size() == 3);
  const Error other = error_of([&] { (void)load_tokens(folder / "ids", byte_tokenizer()); });
  CHECK(other.id() == ErrorId::config_inconsistent);
  CHECK(contains(other.found(), "257"));
  CHECK(error_of([&] { write_token_file({folder / "ids"}, folder / "x", with_end()); }).id() ==
        ErrorId::config_invalid);
  CHECK(error_of([&] { write_token_file({folder / "empty.txt"}, folder / "x", with_end()); }).id() ==
        ErrorId::text_too_short);
  CHECK(error_of([&] { write_token_file({folder / "nowhere"}, folder / "x", with_end()); }).id() ==
        ErrorId::file_missing);
  CHECK(!std::filesystem::exists(folder / "x"));
}
