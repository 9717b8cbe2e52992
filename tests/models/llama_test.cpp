// SPDX-License-Identifier: MIT
#include "support/small_llama.hpp"

#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/packed/kernels.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Keeps weights away from 0, where |W| has a kink that finite differences step over.
template <class Model>
void avoid_kinks(Model& model) {
  for_each_parameter(model, [](const std::string&, auto& parameter) {
    for (Index i = 0; i < parameter.size(); ++i) {
      double& x = parameter.value.data[i];
      if (std::abs(x) < 0.01) x = x < 0 ? x - 0.01 : x + 0.01;
    }
  });
}

/// The worst relative error over all parameters that train, at most 8 elements of each.
template <class Model>
double model_gradient_error(Model& model, double sharpness) {
  const auto ids = random_ids({2, 9}, model.config.vocab_size, 1),
             targets = random_ids({2, 9}, model.config.vocab_size, 2);
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, sharpness);
  const auto loss = [&](Tape<>& tape) {
    Pass<double, Cpu> pass{tape, scalars};
    return model.loss(pass, read(ids.view()), read(targets.view()));
  };
  model.block.zero_gradients();
  {
    Tape<> tape;
    tape.backward(loss(tape));
  }
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  const auto value = [&] {
    tape.reset();
    return *loss(tape).value().data;
  };
  double worst = 0;
  for_each_parameter(model, [&](const std::string& name, auto& parameter) {
    if (!parameter.gradient) return;
    const auto error = gradient_error(value, parameter.value, read(parameter.gradient), 8);
    INFO(name, " analytic ", error.analytic, " numeric ", error.numeric);
    CHECK(error.relative < 1e-6);
    worst = std::max(worst, error.relative);
  });
  return worst;
}

/// What one round of training leaves: the loss, all gradients; bytes held after forward, and at the most.
struct Round {
  double loss;
  Tensor<double> gradients;
  std::size_t held, peak;
};
template <class Model>
Round training_round(Model& model, bool recompute) {
  const auto ids = random_ids({2, 9}, model.config.vocab_size, 1),
             targets = random_ids({2, 9}, model.config.vocab_size, 2);
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, 2.6);
  Tape<> tape;
  const auto forward = [&] {
    Pass<double, Cpu> pass{tape, scalars, nullptr, recompute};
    return model.loss(pass, read(ids.view()), read(targets.view()));
  };
  model.block.zero_gradients();
  const auto loss = forward();
  const std::size_t held = tape.held_bytes();
  tape.backward(loss);
  return {*loss.value().data, host(model.block.gradients.view()), held, tape.peak_bytes()};
}

}  // namespace

TEST_CASE("gradients of a whole Llama agree with finite differences: full precision") {
  auto model = small_llama<double>();
  CHECK(model_gradient_error(model, 0) < 1e-6);
}

TEST_CASE("gradients of a whole Llama with an untied head") {
  auto config = small_config();
  config.tie_word_embeddings = false;
  auto model = small_llama<double>(config);
  CHECK(model_gradient_error(model, 0) < 1e-6);
}

TEST_CASE("gradients of a whole binary Llama at several t") {
  auto dense = small_llama<double>();
  avoid_kinks(dense);
  auto binary = binarize<PaperRecipe<double>>(dense);
  for (const double t : {0.0, 2.6}) {
    CAPTURE(t);
    CHECK(model_gradient_error(binary, t) < 1e-6);
  }
}

TEST_CASE("gradients of the channel search, and their invariance") {
  auto dense = small_llama<double>();
  auto binary = binarize<PaperRecipe<double>>(dense);
  auto search = channel_search(binary);
  for (Index i = 0; i < search.block.values.size(); ++i)
    search.block.values.view().data[i] = 0.3 * std::sin(static_cast<double>(i));
  CHECK(model_gradient_error(search, 0) < 1e-6);
  // Scaling all S_t of a site by one constant changes nothing: sum_j s_j dL/ds_j = sum_j dL/du_j = 0.
  int sites = 0;
  for_each_parameter(search, [&](const std::string& name, auto& parameter) {
    if (!parameter.gradient) return;
    CAPTURE(name);
    ++sites;
    CHECK(std::abs(parameter.gradient.flat().sum()) < 1e-9 * (1 + parameter.gradient.flat().abs().sum()));
  });
  CHECK(sites == 8);  // four inputs in each of two layers
}

TEST_CASE("gradients of the channel search with one S_t per linear layer") {
  auto dense = small_llama<double>();
  auto binary = binarize<PaperRecipe<double, ChannelSharing::per_linear>>(dense);
  auto search = channel_search(binary);
  for (Index i = 0; i < search.block.values.size(); ++i)
    search.block.values.view().data[i] = 0.2 * std::cos(static_cast<double>(i));
  CHECK(model_gradient_error(search, 0) < 1e-6);
}

TEST_CASE("recomputed layers give the loss and the gradients of kept ones, bit for bit") {
  const auto check = [](auto model) {
    CHECK(same_bits(training_round(model, true).gradients.view(), training_round(model, false).gradients.view()));
    CHECK(training_round(model, true).loss == training_round(model, false).loss);
  };
  auto dense = small_llama<double>();
  auto shared = binarize<PaperRecipe<double>>(dense);
  auto per_linear = binarize<PaperRecipe<double, ChannelSharing::per_linear>>(dense);
  check(channel_search(shared));
  check(channel_search(per_linear));
  check(std::move(per_linear));
  check(std::move(shared));
  check(std::move(dense));
}

TEST_CASE("while a tape records, a layer keeps no more than it says") {
  constexpr std::size_t tokens = 2 * 9, dim = 24, kv = 12, hidden = 40;
  constexpr std::size_t ends = 2 * dim;                         // the embedding and the last norm
  constexpr std::size_t layer = 4 * dim + 2 * kv + 2 * hidden;  // both sums, q and the heads' output; k, v; gate, up
  auto model = small_llama<double>();
  auto binary = binarize<PaperRecipe<double>>(model);
  auto search = channel_search(binary);
  const std::size_t kept = (ends + 2 * layer) * tokens * sizeof(double);
  CHECK(training_round(model, false).held == kept);
  CHECK(training_round(binary, false).held == kept);
  CHECK(training_round(search, false).held == kept + 2 * 2 * dim * sizeof(double));  // u of o's channels, twice a layer
  CHECK(training_round(model, true).held == (ends + 2 * dim) * tokens * sizeof(double));
  CHECK(training_round(model, true).peak < training_round(model, false).peak);
}

TEST_CASE("without recording a pass keeps its result alone") {
  auto model = small_llama<double>();
  const auto ids = random_ids({2, 9}, model.config.vocab_size, 1);
  const auto check = [&](auto chosen) {
    const StepScalars<Cpu> scalars;
    Tape<> tape;
    const NoGrad<Cpu> pause(tape);
    Pass<double, Cpu> pass{tape, scalars};
    const auto h = chosen(pass, read(ids.view()));
    CHECK(tape.held_bytes() == static_cast<std::size_t>(h.shape().size()) * sizeof(double));
    // The input of a layer, its first sum, a norm; gate, up and their product.
    CHECK(tape.peak_bytes() == 2 * 9 * (3 * 24 + 3 * 40) * sizeof(double));
  };
  check(binarize<PaperRecipe<double>>(model));
  check(pack(binarize<PaperRecipe<double>>(model)));
  check(std::move(model));
}

TEST_CASE("decoding token by token with a cache gives the logits of the whole sequence") {
  auto model = small_llama<float>();
  const auto ids = random_ids({1, 12}, model.config.vocab_size, 3);
  const auto whole = logits_of(model, read(ids.view()));
  auto cache = model.cache(12);
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  const StepScalars<Cpu> scalars;
  Pass<float, Cpu> pass{tape, scalars, &cache};
  for (Index t = 0; t < 12; t += t == 0 ? 5 : 1) {  // a prefill of five tokens, then one at a time
    tape.reset();
    const Index count = t == 0 ? 5 : 1;
    const auto logits = model.logits(pass, View<const std::int32_t>(ids.view().data + t, Shape{1, count})).value();
    const auto last = logits.row(count - 1);
    const auto wanted = whole.view().row(t + count - 1);
    CHECK((last - wanted).abs().maxCoeff() < 1e-5f);
  }
  CHECK(cache.length() == 12);
  CHECK_THROWS_AS(static_cast<void>(model.logits(pass, View<const std::int32_t>(ids.view().data, Shape{1, 1}))),
                  Error);  // the cache is full
}

TEST_CASE("a token out of range and a sequence beyond the positions are refused") {
  auto model = small_llama<float>();
  Tensor<std::int32_t> ids({1, 2});
  ids.view().data[1] = 37;
  try {
    static_cast<void>(logits_of(model, read(ids.view())));
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::token_out_of_range);
    CHECK(error.argument() == "ids[1]");
  }
  const Tensor<std::int32_t> longer({1, 33});
  try {
    static_cast<void>(logits_of(model, read(longer.view())));
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::index_out_of_range);
  }
}

TEST_CASE("the frequencies of Llama 3's stretched rotary embedding") {
  LlamaConfig c = small_config();
  c.head_dim = 64;
  c.rope_theta = 500000;
  const auto plain = rotary_frequencies(c);
  CHECK(plain[0] == doctest::Approx(1));
  CHECK(plain[31] == doctest::Approx(std::pow(500000.0, -62.0 / 64)));
  c.rope_scaling = RopeScaling{32, 1, 4, 8192};
  const auto stretched = rotary_frequencies(c);
  CHECK(stretched[0] == plain[0]);                          // short waves stay
  CHECK(stretched[31] == doctest::Approx(plain[31] / 32));  // long ones are stretched
  for (std::size_t j = 0; j < 32; ++j) {                    // and nothing is outside the two
    CHECK(stretched[j] <= plain[j] * (1 + 1e-12));
    CHECK(stretched[j] >= plain[j] / 32 * (1 - 1e-12));
  }
}

TEST_CASE("initial weights are a function of the seed, residual projections smaller") {
  Llama<float> a(small_config()), b(small_config()), c(small_config());
  initialise(a, 7);
  initialise(b, 7);
  initialise(c, 8);
  CHECK(largest_difference(a.block.values, b.block.values) == 0);
  CHECK(largest_difference(a.block.values, c.block.values) > 0);
  const auto deviation = [](const Parameter<float>& p) { return std::sqrt(p.value.flat().square().mean()); };
  CHECK(deviation(a.layers[0].attention.q_proj.weight) == doctest::Approx(0.02).epsilon(0.15));
  CHECK(deviation(a.layers[0].mlp.down_proj.weight) == doctest::Approx(0.01).epsilon(0.15));
  CHECK(a.norm.weight.value.data[0] == 1.0f);
}

TEST_CASE("parameters: names, order of decay, ties") {
  Llama<float> tied(small_config());
  std::vector<std::string> names;
  for_each_parameter(tied, [&](const std::string& name, auto& parameter) {
    names.push_back(name);
    const Index at = parameter.value.data - tied.block.values.view().data;
    const auto& runs = tied.block.runs;
    const auto run = std::find_if(runs.begin(), runs.end(), [&](const auto& r) { return at >= r.begin && at < r.end; });
    REQUIRE(run != runs.end());
    CHECK(run->rule == parameter.rule);
  });
  CHECK(names.size() == 1 + 2 * 9 + 1);
  CHECK(names[0] == "model.embed_tokens.weight");
  CHECK(names[2] == "model.layers.0.self_attn.q_proj.weight");
  CHECK(names.back() == "model.norm.weight");
  CHECK(parameter_count(tied) == 37 * 24 + 2 * (2 * 24 * 24 + 2 * 12 * 24 + 3 * 40 * 24 + 2 * 24) + 24);
}
