// SPDX-License-Identifier: MIT
// Small models made by hand; whole tokenizers and golden ids are in tests/io/folders/byte_pair_files_test.cpp.
#include "../io/support.hpp"

#include <binllm/core/random.hpp>
#include <binllm/infer/text_stream.hpp>
#include <binllm/tokenizer/byte_pair.hpp>
#include <binllm/tokenizer/byte_pair/byte_letters.hpp>

#include <algorithm>
#include <iterator>
#include <thread>

using namespace binllm;
using namespace binllm::test;

namespace {

std::string letter(unsigned byte) {
  const unsigned code = detail::byte_letters()[byte];
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0u | code >> 6), static_cast<char>(0x80u | (code & 0x3fu))};
}
std::string letters(std::string_view text) {
  std::string result;
  for (const char c : text) result += letter(static_cast<unsigned char>(c));
  return result;
}

/// All bytes (id = byte), and merges, whose results take the ids from 256 on.
BytePairModel model_of(const std::vector<std::pair<std::string, std::string>>& merges,
                       std::string_view rules = "gpt-2") {
  BytePairModel model;
  for (unsigned byte = 0; byte < 256; ++byte) model.pieces.push_back(letter(byte));
  for (const auto& [left, right] : merges) {
    model.merges.emplace_back(letters(left), letters(right));
    model.pieces.push_back(letters(left + right));
  }
  model.words = word_rules(rules);
  return model;
}

using Ids = std::vector<std::int32_t>;

Ids in_pieces(const Tokenizer& tokenizer, std::string_view text) {
  Ids ids;
  for (std::size_t at = 0; at < text.size();) at = tokenizer.encode_piece(text, at, ids, 1);
  return ids;
}

Error refused(BytePairModel model) {
  return error_of([&] { (void)byte_pair_tokenizer(std::move(model)); });
}

/// A text of the characters that patterns, added tokens and normalisation look at, and of bytes that are no characters.
std::string random_text(const Random& random, std::uint64_t& next) {
  static const std::vector<std::string> parts{"a",
                                              "b",
                                              "ab",
                                              "he",
                                              "'s",
                                              "'S",
                                              "don't",
                                              "1",
                                              "23",
                                              " ",
                                              "  ",
                                              "   ",
                                              "\n",
                                              "\r",
                                              "\t",
                                              "\xc2\xa0",
                                              ",",
                                              ".",
                                              "<",
                                              "<t>",
                                              "e",
                                              "\xc3\xa9",
                                              "\xcc\x81",
                                              "\xe0\xa5\x98",
                                              "\xe4\xbb\x8a",
                                              "\xf0\x9f\x98\x80",
                                              "\xff",
                                              "\xe4\xbb",
                                              "\x80",
                                              std::string(1, '\0')};
  std::string text;
  const std::uint64_t count = random.below(next++, 40);
  for (std::uint64_t i = 0; i < count; ++i) {
    text += parts[static_cast<std::size_t>(random.below(next++, parts.size()))];
  }
  return text;
}

}  // namespace

TEST_CASE("byte letters: printable bytes are themselves, the others follow U+0100") {
  CHECK(letters("A~\xa1") == "A~\xc2\xa1");
  CHECK(letters(" \n") == "\xc4\xa0\xc4\x8a");  // "ĠĊ"
  CHECK(detail::bytes_of_piece("\xc4\xa0the") == " the");
  CHECK(!detail::bytes_of_piece("a b"));
  CHECK(!detail::bytes_of_piece("\xe4\xbb\x8a"));
  CHECK(!detail::bytes_of_piece("\xc4"));
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  CHECK(detail::bytes_of_piece(letters(all)) == all);
}

TEST_CASE("merges go by rank, and of equal rank from the left") {
  const auto tokenizer = byte_pair_tokenizer(model_of({{"l", "l"}, {"l", "o"}, {"h", "e"}, {"he", "ll"}, {"a", "a"}}));
  CHECK(tokenizer.encode("hello") == Ids{259, 'o'});  // "ll" before "lo"
  CHECK(tokenizer.encode("lo") == Ids{257});
  CHECK(tokenizer.encode("aaaaa") == Ids{260, 260, 'a'});
  CHECK(tokenizer.encode("hello hello") == Ids{259, 'o', ' ', 259, 'o'});  // the second from the words met before
  CHECK(tokenizer.decode(Ids{259, 'o'}) == "hello");
  CHECK(tokenizer.vocab_size() == 261);
  CHECK(tokenizer.name() == "byte-pair");
  CHECK(tokenizer.bytes_of(Ids{259, 'o', ' '}) == 6);
  CHECK(tokenizer.encode("").empty());
}

TEST_CASE("a word that is a piece is taken whole where merges are ignored") {
  BytePairModel model = model_of({{"a", "b"}, {"c", "d"}}, "llama-bpe");
  model.pieces.push_back("abcd");  // no merge leads there
  CHECK(byte_pair_tokenizer(model).encode("abcd") == Ids{258});
  model.words.ignore_merges = false;
  CHECK(byte_pair_tokenizer(model).encode("abcd") == Ids{256, 257});
}

TEST_CASE("numbers: in threes, one by one, or as a word") {
  const std::vector<std::pair<std::string, std::string>> merges{{"1", "2"}, {"3", "4"}, {"12", "34"}};
  CHECK(byte_pair_tokenizer(model_of(merges, "gpt-2")).encode("1234") == Ids{258});
  CHECK(byte_pair_tokenizer(model_of(merges, "smollm")).encode("1234") == Ids{'1', '2', '3', '4'});
  CHECK(byte_pair_tokenizer(model_of(merges, "qwen2")).encode("1234") == Ids{'1', '2', '3', '4'});
  CHECK(byte_pair_tokenizer(model_of(merges, "llama-bpe")).encode("1234") == Ids{256, '3', '4'});
}

TEST_CASE("NFC: a letter and its mark become one character, and no more than that") {
  const auto composed = byte_pair_tokenizer(model_of({}, "gpt-neox")), as_is = byte_pair_tokenizer(model_of({}));
  CHECK(composed.decode(composed.encode("xe\xcc\x81y")) == "x\xc3\xa9y");
  CHECK(as_is.decode(as_is.encode("xe\xcc\x81y")) == "xe\xcc\x81y");
  CHECK(composed.decode(composed.encode("e\xff\xcc\x81")) == "e\xff\xcc\x81");  // not across bytes that are no text
}

TEST_CASE("every text comes back, UTF-8 or not, whole or in pieces") {
  const Random random(1, Purpose::test);
  std::uint64_t next = 0;
  for (const char* rules : {"gpt-2", "smollm", "llama-bpe", "gpt-neox", "qwen2"}) {
    CAPTURE(rules);
    BytePairModel model = model_of({{"a", "b"}, {" ", " "}, {" ", "a"}, {"\xc3", "\xa9"}, {"h", "e"}}, rules);
    const bool nfc = model.words.nfc;
    model.added = {{.text = "<t>", .id = 300},
                   {.text = "   ", .id = 301, .normalized = true},
                   {.text = "a b", .id = 302},
                   {.text = "\xc3\xa9,", .id = 303, .normalized = true}};
    const auto tokenizer = byte_pair_tokenizer(std::move(model));
    for (int round = 0; round < 300; ++round) {
      const std::string text = random_text(random, next);
      CAPTURE(text);
      const Ids ids = tokenizer.encode(text);
      if (!nfc) CHECK(tokenizer.decode(ids) == text);
      CHECK(in_pieces(tokenizer, text) == ids);
    }
  }
}

TEST_CASE("added tokens: the longest, with their blanks, and only as single words where they say so") {
  BytePairModel model = model_of({});
  model.added = {{.text = "<a>", .id = 256, .special = true},
                 {.text = "<a><b>", .id = 257, .special = true},
                 {.text = "<l>", .id = 258, .lstrip = true},
                 {.text = "<r>", .id = 259, .rstrip = true},
                 {.text = "w", .id = 260, .single_word = true}};
  const auto tokenizer = byte_pair_tokenizer(model);
  CHECK(tokenizer.encode("x<a><b>") == Ids{'x', 257});
  CHECK(tokenizer.encode("<a><a>") == Ids{256, 256});
  CHECK(tokenizer.encode("x \n<l> y") == Ids{'x', 258, ' ', 'y'});
  CHECK(tokenizer.encode("x <r> \n<l> y") == Ids{'x', ' ', 259, 258, ' ', 'y'});
  CHECK(tokenizer.encode("w xw w,") == Ids{260, ' ', 'x', 'w', ' ', 260, ','});
  CHECK(tokenizer.decode(Ids{'x', 256, 258, 'y'}) == "x<l>y");  // special tokens stand for no text
  CHECK(tokenizer.bytes_of(Ids{256, 258}) == 3);
}

TEST_CASE("a piece of a long text ends where nothing reaches across") {
  const auto tokenizer = byte_pair_tokenizer(model_of({{"\n", "\n"}}, "llama-bpe"));
  const std::string words = "one two, three\n\n\nfour";
  const auto end = [&](std::size_t target) {
    Ids ids;
    return tokenizer.encode_piece(words, 0, ids, target);
  };
  CHECK(end(1) == 3);
  CHECK(end(4) == 7);
  CHECK(end(8) == 14);
  CHECK(end(15) == words.size());
  BytePairModel free = model_of({});  // of a pattern that nobody knows nothing is certain
  free.words.steps.insert(free.words.steps.begin(), SplitStep{.pattern = "[a-z ]+"});
  Ids ids;
  CHECK(byte_pair_tokenizer(free).encode_piece(words, 0, ids, 1) == words.size());
}

TEST_CASE("splits: what becomes of the matches") {
  const auto words = [](SplitStep step) {
    BytePairModel model = model_of({{"a", "b"}, {"-", "-"}, {"b", "-"}, {"-", "a"}});
    model.words.steps = {std::move(step), ByteLevelStep{.use_regex = false}};
    return byte_pair_tokenizer(std::move(model)).encode("ab--ab");
  };
  CHECK(words({.pattern = "-", .literal = true}) == Ids{256, '-', '-', 256});
  CHECK(words({.pattern = "-", .behavior = SplitBehavior::removed}) == Ids{256, 256});
  CHECK(words({.pattern = "-", .behavior = SplitBehavior::contiguous}) == Ids{256, 257, 256});
  CHECK(words({.pattern = "b", .behavior = SplitBehavior::merged_with_previous}) == Ids{256, 257, 256});
  CHECK(words({.pattern = "-", .behavior = SplitBehavior::merged_with_next}) == Ids{256, '-', '-', 256});
  CHECK(words({.pattern = "[ab]+", .behavior = SplitBehavior::removed, .invert = true}) == Ids{256, 256});
}

TEST_CASE("decoding in a stream holds back characters whose bytes are not all there") {
  const auto tokenizer = byte_pair_tokenizer(model_of({{"\xf0", "\x9f"}}));
  TextStream stream(tokenizer);
  CHECK(stream.add(256).empty());
  CHECK(stream.add(0x98).empty());
  CHECK(stream.add(0x80) == "\xf0\x9f\x98\x80");
  CHECK(stream.add(0xe4).empty());
  CHECK(stream.finish() == "\xe4");
}

TEST_CASE("two threads share a tokenizer") {
  const auto tokenizer = byte_pair_tokenizer(model_of({{"a", "b"}, {"ab", "c"}, {" ", "abc"}}));
  std::string text;
  for (int i = 0; i < 3000; ++i) text += i % 3 == 0 ? " abc" : i % 3 == 1 ? " ab, 17" : " cab\n";
  const Ids wanted = tokenizer.encode(text);
  Ids found[2];
  std::thread first([&] { found[0] = tokenizer.encode(text); }), second([&] { found[1] = tokenizer.encode(text); });
  first.join();
  second.join();
  CHECK(found[0] == wanted);
  CHECK(found[1] == wanted);
}

TEST_CASE("ends of a text: BOS is the tokenizer's only where it adds one") {
  BytePairModel model = model_of({});
  model.added = {{.text = "<s>", .id = 256, .special = true}};
  model.bos = model.eos = 256;
  CHECK(!byte_pair_tokenizer(model).bos());
  CHECK(byte_pair_tokenizer(model).eos() == 256);
  model.adds_bos = true;
  CHECK(byte_pair_tokenizer(model).bos() == 256);
}

TEST_CASE("ids between the pieces and the added tokens may stand for nothing") {
  BytePairModel model = model_of({});
  CHECK(byte_pair_tokenizer(model).without_piece().empty());
  model.added = {{.text = "<s>", .id = 258, .special = true}};
  CHECK(byte_pair_tokenizer(model).without_piece() == std::vector<std::int32_t>{256, 257});
}

TEST_CASE("models that make no sense are refused") {
  CHECK(refused({}).id() == ErrorId::tokenizer_invalid);
  const auto with = [](auto change) {
    BytePairModel model = model_of({{"a", "b"}});
    change(model);
    const Error error = refused(std::move(model));
    CHECK(error.id() == ErrorId::tokenizer_invalid);
    return std::string(error.what());
  };
  CHECK(contains(with([](auto& m) { m.merges.emplace_back("a", "c"); }), "\"ac\" in merge 1"));
  CHECK(contains(with([](auto& m) { m.merges.emplace_back("zz", "a"); }), "\"zz\""));
  CHECK(contains(with([](auto& m) { m.pieces.push_back("a"); }), "\"a\" for 97 and 257"));
  CHECK(contains(with([](auto& m) { m.pieces.push_back("\xff"); }), "UTF-8"));
  CHECK(contains(with([](auto& m) { m.added.push_back({.text = "x", .id = 3}); }), "for id 3"));
  CHECK(contains(with([](auto& m) { m.added = {{.text = "x1", .id = 300}, {.text = "x1", .id = 301}}; }), "once"));
  CHECK(contains(with([](auto& m) { m.added.push_back({.text = "x1", .id = -1}); }), "-1"));
  CHECK(contains(with([](auto& m) { m.added.push_back({.text = "x1", .id = 1 << 30}); }), "2^24"));
  CHECK(contains(with([](auto& m) { m.bos = 300; }), "bos"));
  CHECK(contains(with([](auto& m) { m.words.steps.clear(); }), "ByteLevelStep"));
  CHECK(contains(with([](auto& m) { m.words.steps.push_back(DigitsStep{}); }), "last step"));
  const auto pattern = [&](const char* text) {
    return with([&](auto& m) { m.words.steps.insert(m.words.steps.begin(), SplitStep{.pattern = text}); });
  };
  CHECK(contains(pattern("(a"), "pattern (a"));
  CHECK(contains(pattern("\\w+"), "\\w"));
  CHECK(contains(pattern("[a[b]]"), "classes inside classes"));
  CHECK(contains(pattern("a\\"), "backslash"));
  CHECK(contains(pattern(""), "empty"));
}

TEST_CASE("texts that cannot be encoded are refused") {
  BytePairModel model = model_of({});
  model.pieces[0xff].clear();
  const auto lacks_a_byte = byte_pair_tokenizer(model);
  CHECK(contains(error_of([&] { (void)lacks_a_byte.encode("a\xff"); }).what(), "0xff"));
  CHECK(lacks_a_byte.encode("a") == Ids{'a'});  // after a refusal as before
  model.unknown = 'u';
  CHECK(byte_pair_tokenizer(model).encode("a\xff") == Ids{'a', 'u'});
  const std::string word((std::size_t{1} << 24) + 1, 'a');
  CHECK(error_of([&] { (void)lacks_a_byte.encode(word); }).id() == ErrorId::tokenizer_invalid);
  const auto backtracks = [] {
    BytePairModel slow = model_of({});
    slow.words.steps.insert(slow.words.steps.begin(), SplitStep{.pattern = "(a+)+[!?]"});
    return byte_pair_tokenizer(std::move(slow));
  }();
  CHECK(contains(error_of([&] { (void)backtracks.encode(std::string(64, 'a')); }).what(), "search that ends"));
}

TEST_CASE("rules by llama.cpp's names") {
  CHECK(word_rules("smollm").steps == std::vector<PreTokenizerStep>{DigitsStep{.individual = true}, ByteLevelStep{}});
  CHECK(word_rules("llama-bpe").ignore_merges);
  CHECK(word_rules("qwen2").nfc);
  const Error unknown = error_of([] { (void)word_rules("tekken"); });
  CHECK(unknown.id() == ErrorId::unknown_name);
  CHECK(contains(unknown.wanted(), "gpt-2, phi-2"));
}
