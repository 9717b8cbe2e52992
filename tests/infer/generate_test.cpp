// SPDX-License-Identifier: MIT
#include "support/small_llama.hpp"

#include <binllm/infer/generate.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <map>
#include <numeric>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("greedy decoding follows the argmax of the whole sequence's logits") {
  auto model = small_llama<float>();
  const auto made = generate_tokens(model, {3, 1, 4}, {.max_tokens = 8});
  REQUIRE(made.size() == 11);
  Tensor<std::int32_t> ids({1, 11});
  std::copy(made.begin(), made.end(), ids.view().data);
  const auto logits = logits_of(model, read(ids.view()));
  for (Index t = 2; t < 10; ++t) {
    Index best = 0;
    logits.view().row(t).maxCoeff(&best);
    CHECK(best == made[static_cast<std::size_t>(t + 1)]);
  }
}

TEST_CASE("sampling draws from softmax(logits / temperature) and is a function of the seed") {
  Tensor<double> logits({4});
  logits.view().flat() << 0.0, std::log(2.0), std::log(3.0), std::log(4.0);
  std::map<std::int32_t, int> counts;
  for (Index position = 0; position < 20000; ++position) ++counts[sample_token(read(logits.view()), 1.0, 5, position)];
  for (std::int32_t i = 0; i < 4; ++i) CHECK(counts[i] / 20000.0 == doctest::Approx((i + 1) / 10.0).epsilon(0.06));
  CHECK(sample_token(read(logits.view()), 0.0, 5, 0) == 3);
  CHECK(sample_token(read(logits.view()), 1e-3, 5, 0) == 3);
  auto model = small_llama<float>();
  const GenerateOptions warm{.max_tokens = 20, .temperature = 1.5, .seed = 9};
  CHECK(generate_tokens(model, {1}, warm) == generate_tokens(model, {1}, warm));
  CHECK(generate_tokens(model, {1}, warm) !=
        generate_tokens(model, {1}, {.max_tokens = 20, .temperature = 1.5, .seed = 10}));
}

TEST_CASE("decoding ends before the end-of-text token and at the last position") {
  auto model = small_llama<float>();
  CHECK(generate_tokens(model, {1}, {.max_tokens = 1000}).size() ==
        33);  // 32 positions and the token that the last one predicts
  const auto free = generate_tokens(model, {1}, {.max_tokens = 5});
  model.config.eos_token_ids = {free[3]};
  const auto first = std::find(free.begin() + 1, free.end(), free[3]);
  CHECK(generate_tokens(model, {1}, {.max_tokens = 5}) == std::vector<std::int32_t>(free.begin(), first));
  CHECK_THROWS_AS(static_cast<void>(generate_tokens(model, {}, {})), Error);
  CHECK_THROWS_AS(static_cast<void>(generate_tokens(model, std::vector<std::int32_t>(33, 1), {})), Error);
  CHECK_THROWS_AS(static_cast<void>(generate_tokens(model, {1}, {.max_tokens = -1})), Error);
}

TEST_CASE("text in, text out") {
  auto config = small_config();
  config.vocab_size = 256;
  auto model = small_llama<float>(config);
  const std::string text = generate(model, byte_tokenizer(), "Once", {.max_tokens = 6});
  CHECK(text.size() == 10);
  CHECK(text.starts_with("Once"));
}

namespace {

/// The bytes below `size`, of which `end` ends a text.
class FewBytes final : public Tokenizer::Interface {
 public:
  FewBytes(Index size, std::optional<std::int32_t> end) : size_(size), end_(end) {}
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    ids.insert(ids.end(), text.begin(), text.end());
  }
  std::string decode(std::span<const std::int32_t> ids) const override { return {ids.begin(), ids.end()}; }
  Index vocab_size() const override { return size_; }
  std::string_view name() const override { return "few-bytes"; }
  std::size_t bytes_of(std::int32_t) const override { return 1; }
  std::optional<std::int32_t> eos() const override { return end_; }

 private:
  Index size_;
  std::optional<std::int32_t> end_;
};
Tokenizer few_bytes(Index size, std::optional<std::int32_t> end = {}) {
  return Tokenizer(std::make_shared<const FewBytes>(size, end));
}

}  // namespace

TEST_CASE("every end token ends a text; the tokenizer's where the model names none") {
  auto model = small_llama<float>();
  const auto free = generate_tokens(model, {1}, {.max_tokens = 5});
  const std::vector<std::vector<std::int32_t>> prompts{{1}};
  const auto reason = [&](const Tokenizer& tokenizer) {
    return generate_texts(model, tokenizer, prompts, {.max_tokens = 5}).texts[0].finish;
  };
  CHECK(reason(few_bytes(37)) == FinishReason::max_tokens);
  CHECK(reason(few_bytes(37, free[1])) == FinishReason::end_token);
  const auto other = static_cast<std::int32_t>(std::find(free.begin(), free.end(), 36) == free.end() ? 36 : 35);
  model.config.eos_token_ids = {other};
  CHECK(reason(few_bytes(37, free[1])) == FinishReason::max_tokens);
  model.config.eos_token_ids = {other, free[1]};
  CHECK(reason(few_bytes(37)) == FinishReason::end_token);
  CHECK(generate_batch(model, prompts, {.max_tokens = 5}).sequences[0].tokens.size() == 1);
}

TEST_CASE("ids without a piece are never chosen") {
  const auto model = small_llama<float>();
  const std::vector<std::vector<std::int32_t>> prompts{{1}, {2}};
  bool beyond = false;
  for (const auto& sequence : generate_batch(model, prompts, {.max_tokens = 30, .temperature = 2}).sequences)
    for (const std::int32_t id : sequence.tokens) beyond = beyond || id >= 5;
  CHECK(beyond);
  for (const double temperature : {0.0, 2.0}) {
    const auto made =
        generate_texts(model, few_bytes(5), prompts, {.max_tokens = 30, .temperature = temperature, .top_k = 20});
    for (const auto& text : made.texts) {
      CHECK(text.continuation_tokens == 30);
      for (const char byte : text.continuation) CHECK(byte < 5);
    }
  }
  CHECK_THROWS_AS(static_cast<void>(generate_tokens(model, {1}, {.choosable = -1})), Error);
  CHECK_THROWS_AS(static_cast<void>(generate_tokens(model, {1}, {.never = {-1}})), Error);

  for (const double temperature : {0.0, 2.0}) {  // two tokens are left
    std::vector<std::int32_t> never(35);
    std::iota(never.begin(), never.end(), 2);
    const GenerateOptions options{.max_tokens = 30, .temperature = temperature, .never = never};
    for (const auto& sequence : generate_batch(model, prompts, options).sequences)
      for (std::size_t i = 1; i < sequence.tokens.size(); ++i) CHECK(sequence.tokens[i] < 2);
  }
}
