// SPDX-License-Identifier: MIT
/// An estimator and a schedule that the library does not know, by name.
#include "support/saved_model.hpp"

#include <binllm/binllm.hpp>
#include <binllm/io.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace user {

/// E(x, t)  = (1 + t) x / (1 + t |x|)             the identity at t = 0, sgn at infinity, +-1 at +-1 for every t
/// E'(x, t) = (1 + t) / (1 + t |x|)^2
template <std::floating_point T>
struct Softsign {
  using value_type = T;
  static constexpr std::string_view name = "softsign", summary = "(1 + t) x / (1 + t |x|)";

  template <class X>
  [[nodiscard]] static X value(const X& x, T t) {
    if (std::isinf(t)) return binllm::formula::sign(x);
    return (T(1) + t) * x / (T(1) + t * binllm::formula::abs(x));
  }
  template <class X>
  [[nodiscard]] static X slope(const X& x, T t) {
    if (std::isinf(t)) return binllm::formula::splat<X>(0);
    return (T(1) + t) / binllm::formula::square(X(T(1) + t * binllm::formula::abs(x)));
  }
};

/// t(c) = c^2 / 4,   c = 0..20
struct Parabola {
  static constexpr std::string_view name = "parabola", summary = "c^2 / 4";
  double operator()(double c) const { return c * c / 4; }
};

template <std::floating_point T>
using Mine = binllm::Recipe<Softsign<T>, binllm::DualScale<T>, binllm::ChannelScale<T>, Parabola>;

}  // namespace user

using namespace binllm;
using namespace binllm::test;

namespace {

template <class T>
using Trained = Llama<T, Cpu, Binary<user::Mine<T>>>;

/// The t of every reported step.
struct Listener : RunLog {
  std::vector<double> t;
  void report(std::string_view, Index, Index, std::span<const Metric> metrics) override {
    for (const auto& [name, value] : metrics) {
      if (name == "t" && (t.empty() || t.back() != value)) t.push_back(value);
    }
  }
};

}  // namespace

TEST_CASE("estimator: gradients of a model are those of finite differences") {
  Llama<double> dense(tiny_config());
  initialise(dense, 3, 0.3);
  auto model = binarize<user::Mine<double>>(dense);
  disturb(model);
  check_gradients(model, 1.5, every_parameter);
}

TEST_CASE("estimator: stories260K is searched, trained through the schedule, saved, and loaded by its names") {
  auto real = stories260k();
  if (!real) return;
  auto model = binarize<user::Mine<float>>(real->model);
  const auto [before, after] = search_channel_scale(model, real->corpus, {.steps = 4, .batch = 2, .context = 32});
  CHECK(after < before);
  const PerplexityOptions shown{.context = 64, .max_windows = 8};
  const double untrained = evaluate_perplexity(model, real->corpus, shown).nll;
  Listener heard;
  auto training = TrainingOptions::small_model();
  training.tokens = 24 * 4 * 32, training.batch = 4, training.context = 32, training.warmup = 2;
  training.report_every = 1;
  train_progressively(model, real->corpus, {.chunks = 4, .training = training}, nullptr, &heard);
  CHECK(heard.t == std::vector<double>{6.25, 25, 56.25, 100});  // c = 5, 10, 15, 20
  const double trained = evaluate_perplexity(model, real->corpus, shown).nll;
  CHECK(trained < untrained);

  const TemporaryFolder folder;
  save(model, folder.path(), {.tokenizer = &real->tokenizer});
  const auto config = read_config(folder.path());
  CHECK(recipe_entry(config, "estimator") == "softsign");
  CHECK(recipe_entry(config, "schedule") == "parabola");
  const auto [loaded, tokenizer] = load_pretrained<Trained<float>>(folder.path());
  CHECK(tensors_of(loaded) == tensors_of(model));
  using Other =
      Llama<float, Cpu, Binary<Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, user::Parabola>>>;
  CHECK(error_of([&] { static_cast<void>(load_model<Other>(folder.path())); }).id() == ErrorId::config_inconsistent);

  const auto packed = pack<FloatActivations>(loaded);
  CHECK(evaluate_perplexity(packed, real->corpus, shown).nll == doctest::Approx(trained).epsilon(1e-5));
  CHECK(generate(packed, tokenizer, "Once", {.max_tokens = 5}).size() > 4);
}
