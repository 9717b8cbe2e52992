// SPDX-License-Identifier: MIT
// An estimator and a schedule of one's own: two structs, and nothing in the library changes.
#include <binllm/binllm.hpp>

#include <fmt/core.h>

#include <cmath>
#include <limits>

namespace bl = binllm;

/// G(x, t) = x sqrt(1 + t^2) / sqrt(1 + (t x)^2): the identity at t = 0, the sign at t = inf, and G(+-1, t) = +-1.
/// A plain function of scalars is enough; the library applies it lane by lane.
template <class T>
struct AlgebraicSign {
  using value_type = T;
  static T value(T x, T t) {
    if (std::isinf(t)) return x >= 0 ? T(1) : T(-1);
    return x * std::sqrt(1 + t * t) / std::sqrt(1 + t * x * t * x);
  }
  static T slope(T x, T t) {
    if (std::isinf(t)) return 0;
    const T root = std::sqrt(1 + t * x * t * x);
    return std::sqrt(1 + t * t) / (root * root * root);
  }
};

/// From 0.25 to 100 over the run, whatever its number of chunks (c goes from 0 to 20).
struct QuadraticSchedule {
  double operator()(double c) const { return c * c / 4; }
};

template <class T>
using MyRecipe = bl::Recipe<AlgebraicSign<T>, bl::DualScale<T>, bl::ChannelScale<T>, QuadraticSchedule>;

int main() {
  fmt::print("   t   G(0.5,t)  slope\n");
  for (const double t : {0.0, 1.0, 10.0, std::numeric_limits<double>::infinity()}) {
    fmt::print("{:4.0f}   {:8.5f}  {:7.5f}\n", t, AlgebraicSign<double>::value(0.5, t),
               AlgebraicSign<double>::slope(0.5, t));
  }

  // Is the slope the derivative of the value, through the scale too? Finite differences know.
  bl::Tensor<double> weight({3, 40}), learned({3}), sharpness({1});
  const bl::Random random(7, bl::Purpose::test);
  for (bl::Index i = 0; i < weight.size(); ++i) weight.view().data[i] = random.normal(static_cast<std::uint64_t>(i));
  learned.view().flat().setOnes();
  sharpness.view().data[0] = 1.5;
  const auto loss = [&](auto&, auto w, auto s) {
    const auto wb = bl::binarize_weight<AlgebraicSign<double>, bl::DualScale<double>>(w, s, bl::read(sharpness.view()));
    return bl::mean(bl::multiply(wb, bl::tanh(wb)));
  };
  fmt::print("gradient error below 1e-6: {}\n", bl::gradcheck(loss, weight, learned).relative < 1e-6);

  // The recipe in a model: one alias.
  bl::LlamaConfig config{.vocab_size = 256,
                         .hidden_size = 32,
                         .intermediate_size = 64,
                         .num_hidden_layers = 1,
                         .num_attention_heads = 2,
                         .num_key_value_heads = 1,
                         .head_dim = 16,
                         .max_position_embeddings = 64};
  bl::Llama<float> model(config);
  bl::initialise(model, /*seed=*/1);
  const auto corpus = bl::TokenStream::from_string(bl::stories_of(bl::Split::train, 1, 40000), bl::byte_tokenizer());
  auto binary = bl::binarize<MyRecipe<float>>(model);
  bl::ProgressiveOptions options = bl::ProgressiveOptions::small_model();
  options.training.context = 64;
  options.training.tokens = 40 * options.training.batch * options.training.context;
  options.chunks = 10;
  const double before = bl::evaluate_perplexity(binary, corpus, {.context = 64, .max_windows = 32}).perplexity;
  bl::train_progressively(binary, corpus, options);
  const double after = bl::evaluate_perplexity(binary, corpus, {.context = 64, .max_windows = 32}).perplexity;
  fmt::print("perplexity per byte as 1 bit: {:.0f} before, {:.0f} after 40 steps\n", before, after);
}
