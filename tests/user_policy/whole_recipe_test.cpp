// SPDX-License-Identifier: MIT
/// A user's own policies through the whole recipe. Nothing here is part of the library, and the library knows nothing
/// of it.
#include <binllm/binllm.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace user {

/// A hard ramp: the identity clipped to [-1, 1] after a gain of 1 + t.
/// Plain functions of scalars: no template, no pack.
struct HardRamp {
  using value_type = float;
  static float value(float x, float t) {
    if (t == std::numeric_limits<float>::infinity()) return x >= 0 ? 1.0f : -1.0f;
    const float y = (1 + t) * x;
    return y > 1 ? 1.0f : y < -1 ? -1.0f : y;
  }
  static float slope(float x, float t) {
    const float y = (1 + t) * x;
    return y > 1 || y < -1 ? 0.0f : 1 + t;
  }
};

struct Quadratic {
  double operator()(double c) const { return 0.25 * c * c; }
};

using Mine = binllm::Recipe<HardRamp, binllm::DualScale<float>, binllm::ChannelScale<float>, Quadratic>;

struct Listener : binllm::RunLog {
  std::vector<double> t;
  void report(std::string_view phase, binllm::Index, binllm::Index, std::span<const binllm::Metric> metrics) override {
    for (const auto& [name, value] : metrics) {
      if (phase == "progressive" && name == "t") t.push_back(value);
    }
  }
};

}  // namespace user

TEST_CASE("a user's estimator and schedule train, pack and generate without touching the library") {
  namespace bl = binllm;
  bl::LlamaConfig config;
  config.vocab_size = 256;
  config.hidden_size = 16;
  config.intermediate_size = 40;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.max_position_embeddings = 16;
  bl::Llama<float> dense(config);
  bl::initialise(dense, 3);
  const auto corpus = bl::TokenStream::from_string(bl::stories_of(bl::Split::train, 1, 4000), bl::byte_tokenizer());

  auto binary = bl::binarize<user::Mine>(dense);
  bl::search_channel_scale(binary, corpus, {.steps = 2, .batch = 2, .context = 16});
  auto options = bl::ProgressiveOptions::small_model();
  options.training.tokens = 4 * 2 * 16;
  options.training.batch = 2;
  options.training.context = 16;
  options.chunks = 4;
  options.training.report_every = 1;
  user::Listener heard;
  bl::train_progressively(binary, corpus, options, nullptr, &heard);
  CHECK(heard.t == std::vector<double>{6.25, 25, 56.25, 100});  // c = 5, 10, 15, 20

  const double sign = bl::evaluate_perplexity(binary, corpus, {.context = 16}).nll;
  auto packed = bl::pack<bl::FloatActivations>(binary);
  CHECK(bl::evaluate_perplexity(packed, corpus, {.context = 16}).nll == doctest::Approx(sign).epsilon(1e-5));
  CHECK(bl::generate(packed, bl::byte_tokenizer(), "A", {.max_tokens = 3}).size() == 4);
}
