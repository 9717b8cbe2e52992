// SPDX-License-Identifier: MIT
#include "support/small_llama.hpp"

#include <binllm/eval/perplexity.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {
TokenStream toy_stream(Index size) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7 % 37);
  return TokenStream::from_tokens(std::move(ids));
}
}  // namespace

TEST_CASE("a model that knows nothing has the vocabulary's size as perplexity") {
  Llama<float> zero(small_config());  // all logits are 0
  const auto result = evaluate_perplexity(zero, toy_stream(100), {.context = 16, .batch = 4});
  CHECK(result.perplexity == doctest::Approx(37));
  CHECK(result.tokens == 100);
  CHECK(result.scored == 6 * 15);  // six windows of 16, four tokens dropped, the first of each unscored
}

TEST_CASE("windows do not see each other, and the batch size does not matter") {
  auto model = small_llama<double>();
  const auto stream = toy_stream(50);
  const auto one = evaluate_perplexity(model, stream, {.context = 10, .batch = 1});
  const auto three = evaluate_perplexity(model, stream, {.context = 10, .batch = 3});
  CHECK(one.nll == doctest::Approx(three.nll).epsilon(1e-12));
  // by hand: the mean over the windows of each window's own loss
  double sum = 0;
  for (Index w = 0; w < 5; ++w) {
    const auto part = stream.tokens().subspan(static_cast<std::size_t>(w * 10), 10);
    sum += evaluate_perplexity(model, TokenStream::from_tokens({part.begin(), part.end()}), {.context = 10}).nll;
  }
  CHECK(one.nll == doctest::Approx(sum / 5).epsilon(1e-12));
  CHECK(evaluate_perplexity(model, stream, {.context = 10, .max_windows = 2}).scored == 18);
}

TEST_CASE("bits per byte count the bytes of the scored tokens") {
  auto config = small_config();
  config.vocab_size = 256;
  Llama<float> zero(config);
  const auto result = evaluate_perplexity(
      zero, TokenStream::from_string("sixteen letters.and sixteen more", byte_tokenizer()), {.context = 16});
  CHECK(result.bits_per_byte == doctest::Approx(8));
  CHECK(std::isnan(evaluate_perplexity(zero, toy_stream(32), {.context = 16}).bits_per_byte));
}

TEST_CASE("a loss that is not finite is an error, not a result") {
  auto model = small_llama<float>();
  for (Index i = 0; i < model.block.values.size(); ++i) model.block.values.view().data[i] *= 1e30f;
  try {
    static_cast<void>(evaluate_perplexity(model, toy_stream(50), {.context = 10}));
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::value_not_finite);
  }
}

TEST_CASE("a text shorter than one window and a window beyond the model are refused") {
  auto model = small_llama<float>();
  const auto id_of = [&](Index size, Index context) {
    try {
      static_cast<void>(evaluate_perplexity(model, toy_stream(size), {.context = context}));
    } catch (const Error& error) {
      return error.id();
    }
    FAIL("not refused");
    return ErrorId::empty_tensor;
  };
  CHECK(id_of(9, 10) == ErrorId::text_too_short);
  CHECK(id_of(100, 34) == ErrorId::option_out_of_range);
  CHECK(id_of(100, 1) == ErrorId::option_out_of_range);
}

TEST_CASE("a loss that is not finite is an error, and no perplexity") {
  auto model = small_llama<float>();
  model.norm.weight.value.data[0] = std::numeric_limits<float>::infinity();
  ErrorId id = ErrorId::empty_tensor;
  try {
    static_cast<void>(evaluate_perplexity(model, toy_stream(100), {.context = 16}));
  } catch (const Error& error) {
    id = error.id();
  }
  CHECK(id == ErrorId::value_not_finite);
}

TEST_CASE("a cache in fewer bits costs a little perplexity, whatever the batch") {
  auto model = small_llama<float>();
  const auto stream = toy_stream(100);
  const auto exact = evaluate_perplexity(model, stream, {.context = 16});
  for (const CachePrecision cache : {CachePrecision::bfloat16, CachePrecision::int8}) {
    const auto found = evaluate_perplexity(model, stream, {.context = 16, .batch = 4, .cache = cache});
    CHECK(found.nll != exact.nll);
    CHECK(found.nll == doctest::Approx(exact.nll).epsilon(0.02));
    CHECK(found.scored == exact.scored);
    const auto one_by_one = evaluate_perplexity(model, stream, {.context = 16, .batch = 1, .cache = cache});
    CHECK(found.nll == doctest::Approx(one_by_one.nll).epsilon(1e-6));
  }
}
