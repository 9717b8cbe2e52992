// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/small_llama.hpp"

#include <binllm/device/meta.hpp>
#include <binllm/infer/decoder.hpp>

#include <doctest/doctest.h>

#include <array>
#include <type_traits>
#include <utility>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

using Tokens = std::vector<std::int32_t>;

Tokens random_tokens(Index count, std::uint64_t seed) {
  const auto ids = random_ids({count}, small_config().vocab_size, seed);
  return {ids.view().data, ids.view().data + count};
}
Llama<float, Cpu, Packed> small_packed(LlamaConfig config = small_config()) {
  return pack(binarize<PaperRecipe<float>>(small_llama<float>(config)));
}

/// Logits after each of the tokens, which are read in parts of `part`.
template <class D>
std::vector<Tensor<float>> read_in_parts(D& decoder, Index sequence, const Tokens& tokens, std::size_t part) {
  std::vector<Tensor<float>> logits;
  for (std::size_t i = 0; i < tokens.size(); i += part)
    logits.push_back(host(decoder.prefill(sequence, std::span(tokens).subspan(i, std::min(part, tokens.size() - i)))));
  return logits;
}

/// Calls check(model) for a model of every format.
template <class Check>
void on_each_format(const Check& check) {
  check(small_llama<float>());
  check(binarize<PaperRecipe<float>>(small_llama<float>()));
  check(binarize<PaperRecipe<float, ChannelSharing::per_linear>>(small_llama<float>()));
  check(small_packed());
}

const DecoderOptions in_float{.vocabulary = VocabularyPrecision::float32};

}  // namespace

TEST_CASE("a decoder's logits are those of the whole sequence, whatever the parts") {
  const Tokens tokens = random_tokens(30, 3);
  on_each_format([&](auto model) {
    Tensor<std::int32_t> ids({1, 30});
    std::copy(tokens.begin(), tokens.end(), ids.view().data);
    const auto whole = logits_of(model, read(ids.view()));
    for (const std::size_t part : std::array<std::size_t, 7>{1, 2, 3, 4, 5, 7, 30}) {
      CAPTURE(part);
      Decoder decoder(model, in_float);
      const auto logits = read_in_parts(decoder, 0, tokens, part);
      for (std::size_t i = 0; i < logits.size(); ++i) {
        const auto last = static_cast<Index>(std::min((i + 1) * part, tokens.size())) - 1;
        CHECK(largest_difference(logits[i].view(), read(whole.view().middle_rows(last, 1))) < 2e-5);
      }
      CHECK(decoder.length(0) == 30);
    }
  });
}

TEST_CASE("the device of the tests decodes as the CPU does") {
  auto model = small_llama<float>();
  Llama<float, Plain> plain(model.config);
  for_each_outer([](const auto& from, auto& to) { std::copy_n(from.value.data, from.size(), to.value.data); }, model,
                 plain);
  for_each_linear(
      [](const auto& from, auto& to) { std::copy_n(from.weight.value.data, from.weight.size(), to.weight.value.data); },
      model, plain);
  const Tokens tokens = random_tokens(9, 4);
  for (const VocabularyPrecision precision : vocabulary_precisions) {
    const DecoderOptions options{.vocabulary = precision};
    Decoder fast(model, options);
    Decoder slow(plain, options);
    const Index sequence = 0;
    const double tolerance = precision == VocabularyPrecision::int8 ? 0.2 : 1e-5;  // a rounding may fall otherwise
    CHECK(largest_difference(fast.prefill(0, tokens), slow.prefill(0, tokens)) < tolerance);
    CHECK(largest_difference(fast.step({&sequence, 1}, {tokens.data(), 1}),
                             slow.step({&sequence, 1}, {tokens.data(), 1})) < tolerance);
  }
}

TEST_CASE("sequences beside each other get what each alone gets") {
  const std::array<Index, 4> lengths{5, 1, 17, 9}, order{2, 0, 3, 1};
  const auto check = [&](auto model, const DecoderOptions& options, double tolerance) {
    Decoder alone(model, options);
    DecoderOptions several = options;
    several.sequences = 5;
    Decoder together(model, several);
    for (std::size_t s = 0; s < 4; ++s) together.prefill(static_cast<Index>(s), random_tokens(lengths[s], 10 + s));
    Tensor<float> found({8 * 4, 37});
    for (Index round = 0; round < 8; ++round) {
      Tokens tokens;
      for (const Index s : order) tokens.push_back(static_cast<std::int32_t>((7 * round + 5 * s) % 37));
      found.view().matrix().middleRows(4 * round, 4) = together.step(order, tokens).matrix();
    }
    for (std::size_t row = 0; row < 4; ++row) {
      const Index s = order[row];
      alone.restart(0);
      alone.prefill(0, random_tokens(lengths[static_cast<std::size_t>(s)], 10 + static_cast<std::uint64_t>(s)));
      for (Index round = 0; round < 8; ++round) {
        const auto token = static_cast<std::int32_t>((7 * round + 5 * s) % 37);
        const auto logits = host(alone.prefill(0, {&token, 1}));
        const auto wanted = read(found.view().middle_rows(4 * round + static_cast<Index>(row), 1));
        CHECK(largest_difference(logits.view(), wanted) <= tolerance);
      }
    }
    CHECK(together.length(2) == 25);
    CHECK(together.length(4) == 0);
  };
  on_each_format([&](auto model) { check(std::move(model), in_float, 2e-5); });
  for (const VocabularyPrecision exact : {VocabularyPrecision::bfloat16, VocabularyPrecision::int8})
    check(small_packed(), {.vocabulary = exact}, 0);
}

TEST_CASE("the same bits at any number of threads") {
  auto model = small_packed();
  const auto run = [&](int threads, VocabularyPrecision precision) {
    const Threads several(threads);
    Decoder decoder(model, {.sequences = 2, .vocabulary = precision});
    decoder.prefill(0, random_tokens(20, 1));
    decoder.prefill(1, random_tokens(3, 2));
    const std::array<Index, 2> both{0, 1};
    return host(decoder.step(both, std::array<std::int32_t, 2>{4, 5}));
  };
  for (const VocabularyPrecision precision : vocabulary_precisions)
    CHECK(same_bits(run(1, precision).view(), run(2, precision).view()));
}

TEST_CASE("a sequence that starts again has forgotten everything") {
  auto model = small_packed();
  Decoder decoder(model, {.sequences = 2});
  const Tokens tokens = random_tokens(6, 5);
  const auto first = host(decoder.prefill(0, tokens));
  decoder.prefill(1, random_tokens(3, 6));
  decoder.prefill(0, random_tokens(9, 7));
  decoder.restart(0);
  CHECK(decoder.length(0) == 0);
  CHECK(decoder.length(1) == 3);
  CHECK(same_bits(decoder.prefill(0, tokens), read(first.view())));
}

TEST_CASE("what a decoder refuses, and nothing has happened then") {
  auto model = small_llama<float>();
  Decoder decoder(model, {.sequences = 2, .capacity = 8});
  const Tokens nine = random_tokens(9, 1);
  const std::span<const std::int32_t> tokens(nine);
  const auto prefill = [&](Index sequence, std::span<const std::int32_t> some) {
    return id_of([&] { decoder.prefill(sequence, some); });
  };
  const auto step = [&](std::vector<Index> sequences, const Tokens& some) {
    return id_of([&] { decoder.step(sequences, some); });
  };
  decoder.prefill(0, tokens.first(5));
  const auto next = [&] { return host(decoder.prefill(0, tokens.subspan(5, 1))); };
  CHECK(prefill(0, {}) == ErrorId::empty_tensor);
  CHECK(prefill(0, tokens.first(4)) == ErrorId::index_out_of_range);
  CHECK(prefill(1, tokens) == ErrorId::index_out_of_range);
  CHECK(prefill(2, tokens.first(1)) == ErrorId::index_out_of_range);
  CHECK(prefill(-1, tokens.first(1)) == ErrorId::index_out_of_range);
  CHECK(prefill(0, Tokens{37}) == ErrorId::token_out_of_range);
  CHECK(step({0, 0}, {1, 1}) == ErrorId::index_out_of_range);
  CHECK(step({0, 1}, {1}) == ErrorId::shape_mismatch);
  CHECK(step({}, {}) == ErrorId::empty_tensor);
  CHECK(step({0, 1}, {1, -1}) == ErrorId::token_out_of_range);
  CHECK(decoder.length(0) == 5);
  Decoder other(model, {.capacity = 8});
  other.prefill(0, tokens.first(5));
  CHECK(same_bits(read(next().view()), other.prefill(0, tokens.subspan(5, 1))));
  decoder.prefill(0, tokens.first(2));
  CHECK(step({1, 0}, {1, 1}) == ErrorId::index_out_of_range);  // sequence 0 is full
  CHECK(decoder.length(1) == 0);
  const auto made = [&](const DecoderOptions& options) { return id_of([&] { Decoder wrong(model, options); }); };
  CHECK(made({.sequences = 0}) == ErrorId::option_out_of_range);
  CHECK(made({.sequences = Index{1} << 61}) == ErrorId::option_out_of_range);
  for (const Index none : {-1, 2}) {
    CHECK(id_of([&] { decoder.restart(none); }) == ErrorId::index_out_of_range);
    CHECK(id_of([&] { static_cast<void>(decoder.length(none)); }) == ErrorId::index_out_of_range);
  }
  CHECK(made({.capacity = 33}) == ErrorId::option_out_of_range);
  CHECK(made({.capacity = -1}) == ErrorId::option_out_of_range);
}

TEST_CASE("vocabularies in fewer bits stay near the float one") {
  for (const bool tied : {true, false}) {
    auto config = small_config();
    config.tie_word_embeddings = tied;
    // Activations of eight bits would round otherwise here and there, and hide what the vocabulary does.
    auto model = pack<FloatActivations>(binarize<PaperRecipe<float>>(small_llama<float>(config)));
    CHECK(Decoder(model).precision() == VocabularyPrecision::bfloat16);
    const Tokens tokens = random_tokens(12, 8);
    Decoder exact(model, in_float);
    const auto wanted = host(exact.prefill(0, tokens));
    const double size = static_cast<double>(wanted.view().flat().abs().maxCoeff());
    for (const VocabularyPrecision precision : {VocabularyPrecision::bfloat16, VocabularyPrecision::int8}) {
      Decoder decoder(model, {.vocabulary = precision});
      const double difference = largest_difference(decoder.prefill(0, tokens), read(wanted.view()));
      CHECK(difference > 0);
      CHECK(difference < size * (precision == VocabularyPrecision::int8 ? 0.05 : 0.02));
    }
  }
  auto dense = small_llama<float>();
  CHECK(Decoder(dense).precision() == VocabularyPrecision::float32);
}

TEST_CASE("a decoder that owns its model frees the float vocabulary, and says the same") {
  for (const VocabularyPrecision precision : vocabulary_precisions) {
    auto model = small_packed();
    const Tokens tokens = random_tokens(12, 8);
    Decoder borrowing(model, {.vocabulary = precision});
    const auto wanted = host(borrowing.prefill(0, tokens));
    const auto before = borrowing.memory();
    Decoder owning(small_packed(), {.vocabulary = precision});
    CHECK(same_bits(owning.prefill(0, tokens), read(wanted.view())));
    const bool released = precision != VocabularyPrecision::float32;
    CHECK(before.float_vocabulary == 37 * 24 * sizeof(float));
    CHECK(owning.memory().float_vocabulary == (released ? 0 : before.float_vocabulary));
    CHECK(owning.memory().norms_and_positions <= before.norms_and_positions);
    CHECK(owning.memory().linear_layers == before.linear_layers);
  }
}

TEST_CASE("the memory report adds up to what a device has handed out") {
  const auto check = [](auto format) {
    const std::size_t others = Backend<Meta>::reserved().now;
    Llama<float, Meta, decltype(format)> model(small_config());
    Decoder decoder(model, {.sequences = 3});
    const Tokens tokens{1, 2, 3};
    decoder.prefill(0, tokens);
    decoder.step(std::array<Index, 3>{0, 1, 2}, tokens);
    const auto memory = decoder.memory();
    const std::size_t on_host = 3 * 37 * sizeof(float);  // logits, where the host reads them
    CHECK(memory.total() == Backend<Meta>::reserved().now - others + on_host);
    CHECK(memory.key_value_cache == 2 * 2 * 3 * 32 * 12 * sizeof(float));
    CHECK(memory.vocabulary == 0);
    CHECK(memory.linear_layers >= 2 * (2 * 24 * 24 + 2 * 12 * 24 + 3 * 40 * 24) * sizeof(float));
  };
  check(Dense{});
  check(Binary<PaperRecipe<float>>{});
}

TEST_CASE("a few tokens at once get what they get one by one, bit for bit, whatever the cache") {
  const Tokens tokens = random_tokens(24, 3);
  auto model = small_packed();
  for (const CachePrecision cache : vocabulary_precisions) {
    const DecoderOptions options{.vocabulary = VocabularyPrecision::bfloat16, .cache = cache};
    Decoder one(model, options), four(model, options);
    const auto single = read_in_parts(one, 0, tokens, 1);
    for (Index i = 0; i < 24; i += 4) {
      const auto rows = host(four.prefill_each(0, std::span(tokens).subspan(static_cast<std::size_t>(i), 4)));
      for (Index t = 0; t < 4; ++t)
        CHECK(same_bits(rows.view().middle_rows(t, 1), single[static_cast<std::size_t>(i + t)].view()));
    }
  }
}

TEST_CASE("a cache in fewer bits changes logits a little and memory a lot") {
  const Tokens tokens = random_tokens(30, 3);
  auto model = small_packed();
  Decoder exact(model);
  const auto wanted = read_in_parts(exact, 0, tokens, 6);
  for (const CachePrecision cache : {CachePrecision::bfloat16, CachePrecision::int8}) {
    Decoder decoder(model, {.cache = cache});
    CHECK(decoder.cache_precision() == cache);
    const auto found = read_in_parts(decoder, 0, tokens, 6);
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK(!same_bits(found[i].view(), wanted[i].view()));
      CHECK(largest_difference(found[i].view(), wanted[i].view()) < 1);
    }
    CHECK(2 * decoder.memory().key_value_cache <= exact.memory().key_value_cache);
  }
}

TEST_CASE("a sequence starts from what another has read of the same text, and gets the same bits") {
  auto config = small_config();
  config.max_position_embeddings = 200;
  const Tokens first = random_tokens(150, 5), own = random_tokens(66, 6);
  Tokens text(first.begin(), first.begin() + 100);
  text.insert(text.end(), own.begin(), own.end());
  const std::span all(text);
  const auto check = [&](auto model, const DecoderOptions& options, double tolerance) {
    DecoderOptions several = options;
    several.sequences = 2;
    Decoder whole(model, options), decoder(model, several);
    const auto wanted = host(whole.prefill(0, text));
    CHECK(decoder.longest_beginning(text).tokens == 0);
    decoder.prefill(0, first);
    for (const auto& [into, shared] : {std::pair<Index, Index>{1, 64}, {0, 128}}) {  // whole tiles; of the text itself
      const SharedBeginning known = decoder.longest_beginning(text);
      CHECK(known.tokens == shared);
      decoder.start_from(into, known);
      CHECK(decoder.length(into) == shared);
      const auto rest = all.subspan(static_cast<std::size_t>(shared));
      CHECK(largest_difference(decoder.prefill(into, rest), read(wanted.view())) <= tolerance);
    }
    CHECK(decoder.longest_beginning(all.first(68)).tokens == 0);  // too few would be left
    decoder.restart(0);
    CHECK(decoder.longest_beginning(text).tokens == 128);  // forgotten, but still there
    const std::int32_t other = 1;
    for (const Index sequence : {0, 1}) {
      decoder.restart(sequence);
      decoder.prefill(sequence, {&other, 1});
    }
    CHECK(decoder.longest_beginning(text).tokens == 0);
    CHECK(id_of([&] { decoder.start_from(0, {1, 1}); }) == ErrorId::index_out_of_range);
  };
  for (const CachePrecision cache : vocabulary_precisions)
    check(small_packed(config), {.vocabulary = VocabularyPrecision::int8, .cache = cache}, 0);
  check(small_llama<float>(config), in_float, 2e-5);
}
