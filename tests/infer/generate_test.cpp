// SPDX-License-Identifier: MIT
#include "support/small_llama.hpp"

#include <binllm/infer/generate.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <map>

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
