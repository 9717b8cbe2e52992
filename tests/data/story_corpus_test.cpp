// SPDX-License-Identifier: MIT
#include <binllm/data/story_corpus.hpp>
#include <binllm/eval/trigram.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <unordered_set>

using binllm::Split;
using binllm::split_of_story;
using binllm::stories_of;
using binllm::story;

namespace {

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

}  // namespace

TEST_CASE("a story is a pure function of seed and index") {
  CHECK(story(1, 5) == story(1, 5));
  CHECK(story(1, 5) != story(1, 6));
  CHECK(story(1, 5) != story(2, 5));
  const std::string text = stories_of(Split::train, 1, 10'000);
  CHECK(stories_of(Split::train, 1, 5'000) == text.substr(0, stories_of(Split::train, 1, 5'000).size()));
  CHECK(text.size() >= 10'000);
  CHECK(text.size() < 11'000);
  CHECK(text.ends_with(".\n\n"));
}

TEST_CASE("stories are well-formed paragraphs") {
  for (std::uint64_t index = 0; index < 3000; ++index) {
    const std::string text = story(7, index);
    CAPTURE(text);
    CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    CHECK(text.find_first_of("{}|") == std::string::npos);
    CHECK(text.find("  ") == std::string::npos);
    CHECK(text.find(" ,") == std::string::npos);
    CHECK(count(text, "\"") % 2 == 0);
    CHECK(text.ends_with('.'));
    CHECK(text.size() >= 350);
    CHECK(text.size() <= 900);
  }
}

TEST_CASE("people come back, and pronouns agree with them") {
  std::size_t alone = 0;
  for (std::uint64_t index = 0; index < 3000; ++index) {
    const std::string text = story(8, index);
    CAPTURE(text);
    std::size_t people = 0, girls = 0;
    for (std::size_t person = 0; person < std::size(binllm::stories::names); ++person) {
      const std::size_t mentions = count(text, binllm::stories::names[person]);
      if (mentions == 0) continue;
      ++people;
      girls += person < std::size(binllm::stories::names) / 2 ? 1 : 0;
      CHECK(mentions >= 3);
    }
    CHECK(people >= 1);
    CHECK(people <= 2);
    alone += people == 1 ? 1 : 0;
    const std::size_t she = count(text, " she ") + count(text, "She ") + count(text, " her ");
    const std::size_t he = count(text, " he ") + count(text, "He ") + count(text, " his ") + count(text, " him ");
    if (girls == 0) CHECK(she == 0);
    if (girls == people) CHECK(he == 0);
  }
  CHECK(alone > 300);  // the stories with an animal instead of a friend
}

TEST_CASE("no held-out story is a training story") {
  std::unordered_set<std::string> held_out;
  for (std::uint64_t index = 0; held_out.size() < 20'000; ++index) {
    if (split_of_story(3, index) == Split::held_out) held_out.insert(story(3, index));
  }
  std::size_t training = 0, shared = 0;
  for (std::uint64_t index = 0; training < 200'000; ++index) {
    if (split_of_story(4, index) != Split::train) continue;
    ++training;
    shared += held_out.count(story(4, index));
  }
  CHECK(shared == 0);
}

TEST_CASE("one plot in eight is held out, and stories hardly ever repeat") {
  std::size_t held_out = 0;
  std::unordered_set<std::string> distinct;
  constexpr std::size_t total = 40'000;
  for (std::uint64_t index = 0; index < total; ++index) {
    held_out += split_of_story(9, index) == Split::held_out ? 1 : 0;
    distinct.insert(story(9, index));
  }
  CHECK(std::abs(static_cast<double>(held_out) / total - 0.125) < 0.01);  // six standard deviations
  CHECK(distinct.size() == total);
}

TEST_CASE("the same text never has two plots: what the split hashes is all in the text") {
  // every word of a cast that the key covers must be said, whatever the wording
  for (std::uint64_t index = 0; index < 20'000; ++index) {
    const binllm::stories::Draft draft(11, index);
    const std::string text = draft.tell();
    for (const std::string_view name : {"place", "thing", "colour", "spot", "accident", "mishap", "food", "taste",
                                        "animal", "pet", "state", "elder", "fear"}) {
      const std::string_view word = draft.word(name);
      if (!word.empty() && text.find(word) == std::string::npos) FAIL("no ", std::string(word), " in ", text);
    }
  }
}

TEST_CASE("a trigram is surprised by every name and thing that comes back") {
  const auto tokenizer = binllm::byte_tokenizer();
  const binllm::Trigram trigram(tokenizer.encode(stories_of(Split::train, 1, 2'000'000)), tokenizer.vocab_size());
  const double perplexity = std::exp(trigram.nll(tokenizer.encode(stories_of(Split::held_out, 1, 100'000))));
  MESSAGE("trigram perplexity per byte: ", perplexity);
  CHECK(perplexity > 3.5);
  CHECK(perplexity < 5.0);
}
