// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/small_llama.hpp"

#include <binllm/infer/generate.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <map>
#include <set>

using namespace binllm;
using namespace binllm::test;

namespace {

using Prompts = std::vector<std::vector<std::int32_t>>;

const Prompts five{{3, 1, 4}, {1, 5}, {9}, {2, 6, 5, 3, 5}, {8, 9}};

Llama<float> small_byte_llama() {
  auto config = small_config();
  config.vocab_size = 256;
  return small_llama<float>(config);
}

/// Writes down all that it hears.
class Notes final : public TokenReceiver {
 public:
  [[nodiscard]] bool on_token(Index sequence, std::int32_t token) override {
    tokens[sequence].push_back(token);
    most_at_once = std::max(most_at_once, open.size());
    return open.contains(sequence) && std::ssize(tokens[sequence]) < limit;
  }
  [[nodiscard]] bool on_begin(Index sequence) override {
    CHECK(open.insert(sequence).second);
    return sequence != unwanted;
  }
  void on_end(Index sequence, FinishReason reason) override {
    CHECK(open.erase(sequence) == 1);
    ends.emplace_back(sequence, reason);
  }

  std::map<Index, std::vector<std::int32_t>> tokens;
  std::set<Index> open;
  std::vector<std::pair<Index, FinishReason>> ends;
  std::size_t most_at_once = 0;
  Index limit = 1000, unwanted = -1;
};

}  // namespace

TEST_CASE("what is made of a prompt among others is what is made of it alone, however many wait") {
  auto model = small_llama<float>();
  for (const double temperature : {0.0, 1.2}) {
    GenerateOptions options{
        .max_tokens = 9, .temperature = temperature, .top_k = 20, .top_p = 0.95, .repetition_penalty = 1.1, .seed = 4};
    for (const Index slots : {1, 2, 3, 8}) {
      options.sequences = slots;
      Notes notes;
      const auto together = generate_batch(model, five, options, &notes);
      REQUIRE(together.sequences.size() == five.size());
      CHECK(notes.most_at_once == static_cast<std::size_t>(std::min<Index>(slots, 5)));
      CHECK(notes.ends.size() == five.size());
      CHECK(notes.open.empty());
      for (std::size_t i = 0; i < five.size(); ++i) {
        GenerateOptions alone = options;
        alone.first_sequence = static_cast<Index>(i);
        const auto& tokens = together.sequences[i].tokens;
        CHECK(tokens == generate_tokens(model, five[i], alone));
        CHECK(tokens.size() == five[i].size() + 9);
        auto heard = five[i];
        for (const std::int32_t token : notes.tokens[static_cast<Index>(i)]) heard.push_back(token);
        CHECK(heard == tokens);
      }
      CHECK(together.statistics.prompt_tokens == 13);
      CHECK(together.statistics.generated_tokens == 45);
      CHECK(together.statistics.step_tokens == 40);
      CHECK(together.statistics.steps == (slots == 1 ? 40 : slots == 2 ? 24 : slots == 3 ? 16 : 8));
      CHECK(together.statistics.prefill_seconds > 0);
      CHECK(together.statistics.decode_tokens_per_second() > 0);
    }
  }
  CHECK(generate_batch(model, Prompts(2, {1}), {.temperature = 1.5}).sequences[0].tokens !=
        generate_batch(model, Prompts(2, {1}), {.temperature = 1.5}).sequences[1].tokens);
}

TEST_CASE("a sequence that ends early makes room for the next") {
  auto model = small_llama<float>();
  const auto free = generate_batch(model, five, {.max_tokens = 6});
  model.config.eos_token_ids = {free.sequences[1].tokens[4]};  // the third token made of prompt 1
  Notes notes;
  const auto made = generate_batch(model, five, {.max_tokens = 6, .sequences = 2}, &notes);
  for (std::size_t i = 0; i < five.size(); ++i) {
    const auto& whole = free.sequences[i].tokens;
    const auto first = whole.begin() + std::ssize(five[i]);
    const auto end = std::find(first, whole.end(), model.config.eos_token_ids[0]);
    CHECK(made.sequences[i].tokens == std::vector<std::int32_t>(whole.begin(), end));
    CHECK(made.sequences[i].finish == (end == whole.end() ? FinishReason::max_tokens : FinishReason::end_token));
  }
  CHECK(made.sequences[1].finish == FinishReason::end_token);
  CHECK(notes.most_at_once == 2);
}

TEST_CASE("a receiver or a function ends a sequence; the others go on") {
  auto model = small_llama<float>();
  Notes notes;
  notes.limit = 3;
  for (const auto& made : generate_batch(model, five, {.max_tokens = 7}, &notes).sequences)
    CHECK(made.finish == FinishReason::stopped);
  for (const auto& [sequence, tokens] : notes.tokens) CHECK(tokens.size() == 3);
  Notes choosy;
  choosy.unwanted = 1;
  const auto chosen = generate_batch(model, five, {.max_tokens = 7, .sequences = 2}, &choosy);
  CHECK(chosen.sequences[1].tokens == five[1]);
  CHECK(chosen.sequences[1].finish == FinishReason::stopped);
  CHECK(chosen.sequences[4].tokens.size() == five[4].size() + 7);
  CHECK(chosen.statistics.prompt_tokens == 11);
  int heard = 0;
  const auto made = generate_batch(model, five, {.max_tokens = 7}, [&](Index sequence, std::int32_t) {
    ++heard;
    return sequence != 2;
  });
  CHECK(heard == 4 * 7 + 1);
  CHECK(made.statistics.generated_tokens == heard);
  CHECK(made.sequences[2].tokens.size() == five[2].size() + 1);
  CHECK(made.sequences[2].finish == FinishReason::stopped);
  CHECK(made.sequences[3].finish == FinishReason::max_tokens);
}

TEST_CASE("a decoder is used again, and its capacity is the end") {
  auto model = small_llama<float>();
  Decoder decoder(model, {.sequences = 2, .capacity = 8});
  const auto first = generate_batch(decoder, five, {.max_tokens = 100});
  for (const auto& made : first.sequences) {
    CHECK(made.tokens.size() == 9);  // 8 positions and the token that the last one predicts
    CHECK(made.finish == FinishReason::last_position);
  }
  const auto again = generate_batch(decoder, five, {.max_tokens = 100});
  for (std::size_t i = 0; i < five.size(); ++i) CHECK(again.sequences[i].tokens == first.sequences[i].tokens);
  CHECK(generate_batch(model, five, {.max_tokens = 100, .context = 8}).sequences[3].tokens ==
        first.sequences[3].tokens);
  const auto full = generate_batch(decoder, Prompts(1, std::vector<std::int32_t>(8, 1)), {});
  CHECK(full.sequences[0].tokens.size() == 9);
  CHECK(id_of([&] {
          static_cast<void>(generate_batch(decoder, {{1}, std::vector<std::int32_t>(9, 1)}));
        }) == ErrorId::index_out_of_range);
}

TEST_CASE("no prompts, no tokens wanted, and what is refused before anything is made") {
  auto model = small_llama<float>();
  CHECK(generate_batch(model, Prompts{}).sequences.empty());
  Notes notes;
  const auto none = generate_batch(model, five, {.max_tokens = 0}, &notes);
  CHECK(none.sequences[3].tokens == five[3]);
  CHECK(none.statistics.prompt_tokens == 0);
  CHECK(notes.ends.size() == 5);
  Notes silent;
  const auto refused = [&](const Prompts& prompts, const GenerateOptions& options) {
    return id_of([&] { static_cast<void>(generate_batch(model, prompts, options, &silent)); });
  };
  CHECK(refused({{1}, {}}, {}) == ErrorId::empty_tensor);
  CHECK(refused({{1}, std::vector<std::int32_t>(33, 1)}, {}) == ErrorId::index_out_of_range);
  CHECK(refused({{1, 2, 3}}, {.context = 2}) == ErrorId::index_out_of_range);
  CHECK(refused(five, {.max_tokens = -1}) == ErrorId::option_out_of_range);
  CHECK(refused(five, {.temperature = -1}) == ErrorId::option_out_of_range);
  CHECK(refused(five, {.top_p = 2}) == ErrorId::option_out_of_range);
  CHECK(refused(five, {.first_sequence = -1}) == ErrorId::option_out_of_range);
  CHECK(refused(five, {.sequences = 0}) == ErrorId::option_out_of_range);
  CHECK(refused(five, {.context = -1}) == ErrorId::option_out_of_range);
  CHECK(refused(five, {.context = 33}) == ErrorId::option_out_of_range);
  CHECK(refused({{1}, {37}}, {}) == ErrorId::token_out_of_range);
  CHECK(refused(five, {.stop = {""}}) == ErrorId::option_out_of_range);
  CHECK(silent.open.empty());
  model.norm.weight.value.data[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK(refused(five, {}) == ErrorId::value_not_finite);
}

TEST_CASE("texts: pieces are the continuation, and a stop string is no part of it") {
  auto model = small_byte_llama();
  const Tokenizer tokenizer = byte_tokenizer();
  Prompts prompts;
  for (const char* prompt : {"Once", "One day, ", "x"}) prompts.push_back(encode_prompt(tokenizer, prompt));
  GenerateOptions options{.max_tokens = 12, .temperature = 2, .seed = 3};
  std::vector<std::string> heard(3);
  const auto listen = [&](Index sequence, std::string_view piece) {
    heard[static_cast<std::size_t>(sequence)] += piece;
    return true;
  };
  const auto whole = generate_texts(model, tokenizer, prompts, options, listen);
  const auto tokens = generate_batch(model, prompts, options);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(whole.texts[i].text() == tokenizer.decode(tokens.sequences[i].tokens));
    CHECK(whole.texts[i].continuation == heard[i]);
    CHECK(whole.texts[i].continuation_tokens == 12);
    CHECK(whole.texts[i].prompt_tokens == std::ssize(prompts[i]));
    CHECK(whole.texts[i].finish == FinishReason::max_tokens);
  }
  CHECK(whole.statistics.generated_tokens == 36);
  // Two bytes from the middle of the first continuation: a stop that comes in two tokens.
  options.stop = {"no such text", whole.texts[0].continuation.substr(5, 2)};
  const std::size_t stop = whole.texts[0].continuation.find(options.stop[1]);
  heard.assign(3, "");
  const auto stopped = generate_texts(model, tokenizer, prompts, options, listen);
  CHECK(stopped.texts[0].continuation == whole.texts[0].continuation.substr(0, stop));
  CHECK(stopped.texts[0].finish == FinishReason::stopped);
  CHECK(stopped.texts[0].continuation_tokens <= 7);
  CHECK(heard[0] == stopped.texts[0].continuation);
  CHECK(stopped.texts[1].continuation ==
        whole.texts[1].continuation.substr(0, whole.texts[1].continuation.find(options.stop[1])));
  CHECK(generate(model, tokenizer, "Once", options) == stopped.texts[0].text());
  options.stop = {""};
  CHECK(id_of([&] { static_cast<void>(generate(model, tokenizer, "Once", options)); }) == ErrorId::option_out_of_range);
}

TEST_CASE("who wants no more text hears none, held-back pieces included") {
  auto model = small_byte_llama();
  const Tokenizer tokenizer = byte_tokenizer();
  GenerateOptions options{.max_tokens = 12, .temperature = 2};
  for (options.seed = 1; options.seed <= 20; ++options.seed) {
    CAPTURE(options.seed);
    bool ended = false;
    const auto listen = [&](Index, std::string_view) {
      CHECK_FALSE(ended);
      ended = true;
      return false;
    };
    options.stop = {"no such text"};  // so that something is held back at times
    static_cast<void>(generate_texts(model, tokenizer, {{'a'}}, options, listen));
  }
}

TEST_CASE("a text receiver ends a text, or does not let it begin") {
  class Impatient final : public TextReceiver {
   public:
    [[nodiscard]] bool on_text(Index sequence, std::string_view piece) override {
      text[static_cast<std::size_t>(sequence)] += piece;
      return sequence != 0;
    }
    [[nodiscard]] bool on_begin(Index sequence, std::string_view prompt) override {
      prompts += prompt;
      return sequence != 1;
    }
    void on_end(Index, FinishReason reason) override { stopped += reason == FinishReason::stopped ? 1 : 0; }

    std::vector<std::string> text = std::vector<std::string>(3);
    std::string prompts;
    int stopped = 0;
  };
  auto model = small_byte_llama();
  const Tokenizer tokenizer = byte_tokenizer();
  Impatient receiver;
  const auto made = generate_texts(model, tokenizer, {{'a'}, {'b'}, {'c'}}, {.max_tokens = 6}, &receiver);
  CHECK(receiver.prompts == "abc");
  CHECK(receiver.stopped == 2);
  for (std::size_t i = 0; i < 3; ++i) CHECK(made.texts[i].continuation == receiver.text[i]);
  CHECK(made.texts[0].continuation_tokens == 1);
  CHECK(made.texts[1].text() == "b");
  CHECK(made.texts[2].continuation_tokens == 6);
}

namespace {

/// Has room for long texts, and gives the same bits for a token whatever is read beside it.
Llama<float, Cpu, Packed> long_packed() {
  auto config = small_config();
  config.max_position_embeddings = 300;
  return pack(binarize<PaperRecipe<float>>(small_llama<float>(config)));
}

}  // namespace

TEST_CASE("proposed tokens change how many are read at a time, and nothing else") {
  auto model = long_packed();
  const Prompts prompts{{3, 1, 4, 1, 5, 3, 1, 4, 1, 5, 3, 1}};
  const auto check = [&](GenerateOptions options) {
    options.speculate = 0;
    const auto wanted = generate_batch(model, prompts, options);
    for (const Index proposed : {1, 2, 3}) {
      CAPTURE(proposed);
      options.speculate = proposed;
      Notes notes;
      const auto found = generate_batch(model, prompts, options, &notes);
      CHECK(found.sequences[0].tokens == wanted.sequences[0].tokens);
      CHECK(found.sequences[0].finish == wanted.sequences[0].finish);
      CHECK(std::ssize(notes.tokens[0]) == found.statistics.generated_tokens);
      const auto& s = found.statistics;
      CHECK(s.step_tokens == wanted.statistics.step_tokens);
      CHECK(s.accepted_tokens <= s.proposed_tokens);
      CHECK(s.steps + s.accepted_tokens == s.step_tokens);
    }
    return wanted;
  };
  for (const CachePrecision cache : vocabulary_precisions) {
    for (const double temperature : {0.0, 0.8}) {
      const auto free = check({.max_tokens = 80, .temperature = temperature, .seed = 3, .cache = cache});
      check({.max_tokens = 80, .temperature = temperature, .repetition_penalty = 1.2, .cache = cache});
      check({.max_tokens = 80, .temperature = temperature, .seed = 3, .context = 40, .cache = cache});  // last_position
      model.config.eos_token_ids = {free.sequences[0].tokens[50]};
      check({.max_tokens = 80, .temperature = temperature, .seed = 3, .cache = cache});
      model.config.eos_token_ids = {};
    }
  }
  for (const Index tokens : {0, 1, 2, 3}) check({.max_tokens = tokens});
  const auto greedy = generate_batch(model, prompts, {.max_tokens = 200, .speculate = 3});
  CHECK(greedy.statistics.accepted_tokens > 0);  // a tiny model repeats itself
}

TEST_CASE("the beginning of a prompt that was read in another is not read again") {
  auto model = long_packed();
  const auto shared = random_ids({140}, 37, 8);
  Prompts prompts;
  for (const std::int32_t last : {1, 2, 3, 4, 5}) {
    prompts.emplace_back(shared.view().data, shared.view().data + 140);
    prompts.back().insert(prompts.back().end(), {last, 7, last, 9, 11});
  }
  for (const Index slots : {1, 2, 5}) {
    const auto made = generate_batch(model, prompts, {.max_tokens = 12, .sequences = slots});
    CHECK(made.statistics.shared_tokens == 4 * 128);
    CHECK(made.statistics.prompt_tokens == 5 * 145 - 4 * 128);
    for (std::size_t i = 0; i < prompts.size(); ++i)
      CHECK(made.sequences[i].tokens == generate_tokens(model, prompts[i], {.max_tokens = 12}));
  }
}
