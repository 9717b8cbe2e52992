// SPDX-License-Identifier: MIT
// What templates write is tested against transformers in tests/io/folders/chat_template_test.cpp.
#include "support/errors.hpp"
#include "support/small_llama.hpp"

#include <binllm/infer/conversation.hpp>
#include <binllm/infer/generate.hpp>

#include <doctest/doctest.h>

#include <array>
#include <span>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr std::int32_t begins = 32, ends = 33;

/// Five bits of each byte, and two markers.
class MarkedBytes final : public Tokenizer::Interface {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    const ChatMarkers& markers = chat_markers.front();
    for (std::size_t at = 0; at < text.size();) {
      const std::string_view rest = text.substr(at);
      const bool begin = rest.starts_with(markers.before_role), end = rest.starts_with(markers.end_of_turn);
      ids.push_back(begin ? begins : end ? ends : text[at] & 31);
      at += begin ? markers.before_role.size() : end ? markers.end_of_turn.size() : 1;
    }
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids) text += static_cast<char>('@' + id);
    return text;
  }
  Index vocab_size() const override { return 37; }
  std::string_view name() const override { return "marked-bytes"; }
  std::size_t bytes_of(std::int32_t) const override { return 1; }
};

Tokenizer marked_bytes() { return Tokenizer(std::make_shared<const MarkedBytes>()); }

Llama<float> model_of(Index positions) {
  auto config = small_config();
  config.max_position_embeddings = positions;
  return small_llama<float>(config);
}
Conversation talk_of(const Llama<float>& model, const GenerateOptions& options,
                     std::optional<std::string> system = {}) {
  return Conversation(std::make_unique<ErasedDecoder<Llama<float>>>(model), marked_bytes(),
                      ChatTemplate::named("chatml"), options, std::move(system));
}

}  // namespace

TEST_CASE("a conversation reads only what is new, and answers as if it had read all of it") {
  const auto model = model_of(256);
  const GenerateOptions options{.max_tokens = 9, .temperature = 0.7, .never = {begins, ends}};
  Conversation talk = talk_of(model, options, "Be kind.");
  const Tokenizer tokenizer = marked_bytes();
  const ChatTemplate form = ChatTemplate::named("chatml");
  std::vector<std::int32_t> all;
  for (const char* const message : {"hello", "how are you?", "fine"}) {
    const auto added = tokenizer.encode((all.empty() ? form.begin_conversation("Be kind.") : form.end()) +
                                        form.turn("user", message) + form.begin_answer());
    const Index unread = all.empty() ? 0 : 1;  // the last token of an answer that was cut off
    all.insert(all.end(), added.begin(), added.end());
    const Answer answer = talk.say(message);
    CHECK(answer.text.finish == FinishReason::max_tokens);
    CHECK(answer.text.prompt_tokens == std::ssize(added) + unread);
    CHECK(answer.text.prompt.empty());
    GenerateOptions afresh = options;
    afresh.choosable = tokenizer.vocab_size();
    all = generate_tokens(model, all, afresh);
    REQUIRE(talk.tokens() == all);
    CHECK(answer.text.continuation == tokenizer.decode(std::span(all).last(9)));
  }
  talk.restart();
  CHECK(talk.length() == 0);
  const Answer again = talk.say("hello");
  CHECK(again.text.prompt_tokens == std::ssize(tokenizer.encode(form.begin_conversation("Be kind.") +
                                                                form.turn("user", "hello") + form.begin_answer())));
}

TEST_CASE("an answer ends at a marker, at the receiver's wish, and where the context is full") {
  const auto model = model_of(256);
  Conversation talk = talk_of(model, {.max_tokens = 150, .temperature = 4});
  const Answer ended = talk.say("hello");
  CHECK(ended.text.finish == FinishReason::end_token);
  CHECK(std::find(talk.tokens().end() - ended.text.continuation_tokens, talk.tokens().end(), ends) ==
        talk.tokens().end());

  class Impatient final : public TextReceiver {
   public:
    std::string heard;
    bool on_text(Index, std::string_view piece) override {
      heard += piece;
      return heard.size() < 3;
    }
  } receiver;
  Conversation stopped = talk_of(model, {.max_tokens = 40, .never = {begins, ends}});
  const Answer cut = stopped.say("hello", &receiver);
  CHECK(cut.text.finish == FinishReason::stopped);
  CHECK(receiver.heard == cut.text.continuation);
  CHECK(cut.text.continuation.size() == 3);
  CHECK(stopped.say("go on").text.continuation_tokens == 40);

  const auto small = model_of(64);
  Conversation full = talk_of(small, {.max_tokens = 100, .never = {begins, ends}});
  const Answer last = full.say("hello");
  CHECK(last.text.finish == FinishReason::last_position);
  const auto before = full.tokens();
  CHECK(id_of([&] { static_cast<void>(full.say("more")); }) == ErrorId::index_out_of_range);
  CHECK(full.tokens() == before);
  full.restart();
  CHECK(full.say("hello").text.continuation == last.text.continuation);
}

TEST_CASE("generate_after goes on with the first sequence, whatever the others have read of the text") {
  const auto model = model_of(128);
  std::vector<std::int32_t> ids(80);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(1 + i * i % 17);
  const GenerateOptions options{.max_tokens = 3};
  const auto made = generate_tokens(model, ids, options);
  for (const std::ptrdiff_t read_by_first : {0, 20, 70}) {
    CAPTURE(read_by_first);
    Decoder<Llama<float>> decoder(model, {.sequences = 2});
    std::vector<std::int32_t> other(ids.begin(), ids.begin() + 70);
    other.insert(other.end(), 5, 18);
    decoder.prefill(1, other);
    const std::array<Index, 1> first{0};
    for (std::ptrdiff_t i = 0; i < read_by_first; ++i) decoder.step(first, std::span(ids).subspan(std::size_t(i), 1));
    CHECK(generate_after(decoder, ids, options).sequences.front().tokens == made);
    CHECK(decoder.length(0) == std::ssize(made) - 1);
    CHECK(decoder.length(1) == 75);
  }
}

TEST_CASE("a decoder forgets what it is told to, and refuses what was not read") {
  const auto model = model_of(64);
  Decoder<Llama<float>> decoder(model);
  const std::vector<std::int32_t> ids{1, 2, 3, 4};
  const auto made = generate_after(decoder, ids, {.max_tokens = 3}).sequences.front().tokens;
  CHECK(decoder.length(0) == 6);
  decoder.keep(0, 3);
  const auto again = generate_after(decoder, ids, {.max_tokens = 3});
  CHECK(again.sequences.front().tokens == made);
  CHECK(again.statistics.prompt_tokens == 1);
  CHECK(id_of([&] { decoder.keep(0, 7); }) == ErrorId::index_out_of_range);
  CHECK(id_of([&] { static_cast<void>(generate_after(decoder, ids)); }) == ErrorId::option_out_of_range);
  const auto converse = [&] {
    Conversation(std::make_unique<ErasedDecoder<Llama<float>>>(model), marked_bytes(), ChatTemplate::named("llama-3"));
  };
  CHECK(id_of(converse) == ErrorId::config_inconsistent);
}
