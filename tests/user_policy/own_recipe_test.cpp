// SPDX-License-Identifier: MIT
#include "support/small_llama.hpp"
#include "user_policy/own_policies.hpp"

#include <binllm/models/convert.hpp>
#include <binllm/packed/kernels.hpp>
#include <binllm/train/progressive.hpp>

#include <doctest/doctest.h>

#include <map>
#include <set>

using namespace binllm;

namespace {

/// Every choice of the paper, but for an estimator and a schedule of the user's.
using Own = Recipe<user::AlgebraicSign<float>, DualScale<float>, ChannelScale<float>, user::Parabola>;
static_assert(RecipeLike<Own>);

/// The sharpness of every reported step.
struct SharpnessLog : RunLog {
  std::set<double> seen;
  void report(std::string_view, Index, Index, std::span<const Metric> metrics) override {
    for (const auto& [name, value] : metrics) {
      if (name == "t") seen.insert(value);
    }
  }
};

}  // namespace

TEST_CASE("a model is binarised, trained and packed with a user's own estimator and schedule") {
  const auto dense = test::small_llama<float>();
  auto binary = binarize<Own>(dense);
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 2000; ++i) ids.push_back(i * i % 37);
  const auto corpus = TokenStream::from_tokens(std::move(ids));
  auto options = ProgressiveOptions::small_model();
  options.training.batch = 4, options.training.context = 12, options.chunks = 4, options.training.warmup = 2,
  options.training.report_every = 1;
  options.training.tokens = 40 * 4 * 12;
  SharpnessLog log;
  const double loss = train_progressively(binary, corpus, options, nullptr, &log);
  CHECK(std::isfinite(loss));
  CHECK(loss < 0.9 * std::log(37.0));
  CHECK(log.seen == std::set<double>{6.25, 25, 56.25, 100});  // c = 5, 10, 15, 20

  const auto prompt = test::random_ids({1, 9}, 37, 1);
  auto packed = pack<FloatActivations>(binary);
  const auto sign = test::logits_of(binary, prompt.view());
  CHECK(test::largest_difference(test::logits_of(packed, prompt.view()), sign) < 1e-4);
}
