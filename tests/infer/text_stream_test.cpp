// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/core/random.hpp>
#include <binllm/infer/text_stream.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <memory>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Decodes as SentencePiece does: the first blank of a text is dropped, runs of byte tokens become characters, and each
/// of their bytes that makes none becomes U+FFFD. Ids below 256 are bytes, 256 is " ", 257 " word", 258 "x", 259 BOS.
class LikeSentencePiece final : public Tokenizer::Interface {
 public:
  void encode(std::string_view, std::vector<std::int32_t>&) const override {}
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text, bytes;
    bool at_start = true;
    const auto end_run = [&] {
      for (std::size_t i = 0; i < bytes.size();) {
        const std::size_t length = character(std::string_view(bytes).substr(i));
        text += length > 0 ? bytes.substr(i, length) : "\xef\xbf\xbd";
        i += std::max<std::size_t>(1, length);
      }
      bytes.clear();
    };
    for (const std::int32_t id : ids) {
      if (id == 259) continue;
      if (id < 256) {
        bytes += static_cast<char>(id);
      } else {
        end_run();
        const std::string_view piece = id == 256 ? " " : id == 257 ? " word" : "x";
        text += at_start && piece[0] == ' ' ? piece.substr(1) : piece;
      }
      at_start = false;
    }
    end_run();
    return text;
  }
  [[nodiscard]] Index vocab_size() const override { return 260; }
  [[nodiscard]] std::string_view name() const override { return "like sentencepiece"; }
  [[nodiscard]] std::size_t bytes_of(std::int32_t) const override { return 1; }

 private:
  /// Bytes of the complete character at the beginning, 0 if there is none.
  static std::size_t character(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc0 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf8 ? 4
                                             : 0;
    if (length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i)
      if ((static_cast<unsigned char>(text[i]) & 0xc0u) != 0x80u) return 0;
    return length;
  }
};

Tokenizer like_sentencepiece() { return Tokenizer(std::make_shared<const LikeSentencePiece>()); }

std::vector<std::int32_t> bytes_of(std::string_view text) { return byte_tokenizer().encode(text); }

/// Checks that the pieces are the whole text.
void check_stream(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids, std::size_t prompt = 0) {
  TextStream stream(tokenizer);
  std::string text = stream.add(std::span(ids).first(prompt));
  for (std::size_t i = prompt; i < ids.size(); ++i) text += stream.add(ids[i]);
  text += stream.finish();
  CHECK(text == tokenizer.decode(ids));
}

}  // namespace

TEST_CASE("a character appears when its last byte does") {
  for (const Tokenizer& tokenizer : {byte_tokenizer(), like_sentencepiece()}) {
    TextStream stream(tokenizer);
    std::vector<std::string> pieces;
    for (const std::int32_t id : bytes_of("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!")) pieces.push_back(stream.add(id));
    CHECK(pieces ==
          std::vector<std::string>{"a", "", "\xc3\xa9", "", "", "\xe2\x82\xac", "", "", "", "\xf0\x9f\x98\x80", "!"});
    CHECK(stream.finish().empty());
  }
}

TEST_CASE("bytes that are no text pass, and an incomplete character comes at the end") {
  TextStream stream(byte_tokenizer());
  CHECK(stream.add(0xff) == "\xff");
  CHECK(stream.add(0x80) == "\x80");
  CHECK(stream.add(0xc3).empty());
  CHECK(stream.add('x') == "\xc3x");
  CHECK(stream.add(0xf0).empty());
  CHECK(stream.add(0x9f).empty());
  CHECK(stream.finish() == "\xf0\x9f");
  TextStream shown(like_sentencepiece());
  std::string text;
  for (int i = 0; i < 10; ++i) text += shown.add(0xff);
  CHECK(text.size() == 3 * 7);  // three may still be one character
  CHECK(shown.finish().size() == 3 * 3);
  CHECK(certain_length("abc") == 3);
  CHECK(certain_length("") == 0);
  CHECK(certain_length("a\xe2\x82") == 1);
  CHECK(certain_length("a\xe2\x82\xac") == 4);
  CHECK(certain_length("\x80\x80\x80\x80") == 4);
}

TEST_CASE("pieces are together the text of all tokens, whatever a token means to its neighbours") {
  check_stream(byte_tokenizer(), bytes_of("Gr\xc3\xbc\xc3\x9f"
                                          "e, \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x8c\x8d"));
  check_stream(like_sentencepiece(), {259, 256, 256, 257, 258, 256, 257});
  check_stream(like_sentencepiece(), {257, 258, 257}, 2);
  check_stream(like_sentencepiece(), std::vector<std::int32_t>(100, 256));
  const std::uint64_t seed = 31;
  CAPTURE(seed);
  for (std::uint64_t round = 0; round < 60; ++round) {
    const Random random(seed, Purpose::test, round);
    std::vector<std::int32_t> ids;
    for (std::uint64_t i = 0; ids.size() < 150; ++i) {
      const std::uint64_t kind = random.below(2 * i, 6);
      if (kind < 4) ids.push_back(static_cast<std::int32_t>(256 + random.below(2 * i + 1, kind < 2 ? 1 : 4)));
      if (kind == 4) ids.push_back(static_cast<std::int32_t>(random.below(2 * i + 1, 256)));
      if (kind == 5)
        for (const std::int32_t byte : bytes_of("\xf0\x9f\x98\x80\xe2\x82\xac")) ids.push_back(byte);
    }
    check_stream(like_sentencepiece(), ids, round % 20);
    for (std::int32_t& id : ids) id %= 256;
    check_stream(byte_tokenizer(), ids, round % 20);
  }
}

TEST_CASE("a stop string ends the text before it, also in parts") {
  const auto run = [](std::vector<std::string> strings, std::vector<std::string> pieces) {
    StopStrings stops(std::move(strings));
    std::vector<std::string> out;
    for (const std::string& piece : pieces) out.push_back(stops.add(piece));
    out.push_back(stops.finish());
    return std::pair(out, stops.stopped());
  };
  using Out = std::pair<std::vector<std::string>, bool>;
  CHECK(run({"END"}, {"a", "b"}) == Out({"a", "b", ""}, false));
  CHECK(run({"END"}, {"aEND", "b"}) == Out({"a", "", ""}, true));
  CHECK(run({"END"}, {"aE", "N", "Db", "c"}) == Out({"a", "", "", "", ""}, true));
  CHECK(run({"END"}, {"aE", "N", "x"}) == Out({"a", "", "ENx", ""}, false));
  CHECK(run({"END"}, {"aEN"}) == Out({"a", "EN"}, false));
  CHECK(run({"aab"}, {"aa", "ab"}) == Out({"", "a", ""}, true));  // the beginning moves on within what is held
  CHECK(run({"xyz", "y"}, {"wxyz"}) == Out({"wx", ""}, true));    // the first that is complete
  CHECK(run({"xyz", "y"}, {"wx", "yz"}) == Out({"w", "x", ""}, true));
  CHECK(run({"y", "xy"}, {"wxyz"}) == Out({"w", ""}, true));
  CHECK(run({"zz", "\n"}, {"a\nzz"}) == Out({"a", ""}, true));
  CHECK(run({}, {"a"}) == Out({"a", ""}, false));
  CHECK(id_of([] { StopStrings({"a", ""}); }) == ErrorId::option_out_of_range);
}
