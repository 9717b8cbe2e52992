// SPDX-License-Identifier: MIT
#include "support/any_model.hpp"
#include "support/errors.hpp"
#include "support/saved_model.hpp"

#include <binllm/methods/post_training/awq.hpp>
#include <binllm/methods/post_training/quantise_blockwise.hpp>
#include <binllm/methods/post_training/rtn.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Rounding to nearest behind everything that the frame gives a method.
struct Watching : Rtn {
  static constexpr bool calibrated = true;
  std::vector<std::string>* seen = nullptr;

  void operator()(const CalibratedLayer& layer, Grid::Matrix<float, Cpu>& to) const {
    seen->emplace_back(layer.name);
    const auto h = layer.inputs.hessian();
    CHECK(h.shape == Shape{layer.weight.cols(), layer.weight.cols()});
    CHECK(layer.inputs.tokens == 24);
    CHECK(layer.inputs.inverse_factor({}).upper.shape() == h.shape);
    Rtn::operator()(layer, to);
  }
};

/// Rounding that has its errors measured.
struct Seeing : Rtn {
  static constexpr bool calibrated = true;
};

struct Reports : QuantiseLog {
  std::vector<LayerReport> layers;
  void layer(const LayerReport& report) override { layers.push_back(report); }
};

Llama<float> random_model() {
  Llama<float> model(tiny_config());
  initialise(model, 3, 0.3);
  return model;
}

}  // namespace

TEST_CASE("blockwise: every layer in order, errors reported; the dense model is what the stored one restores to") {
  Llama<float> model = random_model();
  const auto ids = random_ids({3, 8}, 37, 1);
  std::vector<std::string> seen;
  Watching method;
  method.grid = {.bits = 4, .group = 5};
  method.seen = &seen;
  Reports reports;
  const auto stored = quantise_blockwise(model, read(ids.view()), method, {}, &reports);
  REQUIRE(seen.size() == 14);
  CHECK(seen[0] == "model.layers.0.self_attn.q_proj");
  CHECK(seen[3] == "model.layers.0.self_attn.o_proj");
  CHECK(seen[13] == "model.layers.1.mlp.down_proj");
  REQUIRE(reports.layers.size() == 14);
  for (const LayerReport& report : reports.layers) {
    CHECK(report.weight_error > 0);
    CHECK(report.weight_error < 0.03);
    CHECK(report.output_error > 0);
    CHECK(report.output_error < 0.1);
    CHECK(report.damping == 0.01);
  }
  const auto view = read(ids.view());
  CHECK(largest_difference(logits_of(stored, view), logits_of(model, view)) < 1e-5);
  CHECK(tensors_of(unpack(stored)) == tensors_of(model));
}

TEST_CASE("blockwise: a method that looks at weights alone needs no text; others say what they need") {
  Llama<float> model = random_model();
  const auto stored = quantise_blockwise(model, {}, Rtn{.grid = {.bits = 8}});
  CHECK(tensors_of(unpack(stored)) == tensors_of(model));
  CHECK(id_of([&] { static_cast<void>(quantise_blockwise(model, {}, Watching{})); }) == ErrorId::text_too_short);
  CHECK(id_of([&] { static_cast<void>(quantise_blockwise(model, {}, Rtn{.grid = {.bits = 5}})); }) ==
        ErrorId::option_out_of_range);
  CHECK(id_of([&] { static_cast<void>(quantise_blockwise(model, {}, Rtn{.grid = {.group = -1}})); }) ==
        ErrorId::option_out_of_range);
}

TEST_CASE("blockwise: weights and inputs that are not finite are refused, the layer named") {
  const auto refused = [](auto disturb, std::string_view layer) {
    Llama<float> model = random_model();
    disturb(model);
    const auto ids = random_ids({3, 8}, 37, 1);
    std::vector<std::string> seen;
    Watching method;
    method.seen = &seen;
    try {
      static_cast<void>(quantise_blockwise(model, read(ids.view()), method));
      FAIL("not refused");
    } catch (const Error& error) {
      CHECK(error.id() == ErrorId::value_not_finite);
      CHECK(error.argument() == layer);
    }
  };
  refused(
      [](auto& model) {
        model.layers[1].attention.k_proj.weight.value.data[7] = std::numeric_limits<float>::infinity();
      },
      "model.layers.1.self_attn.k_proj");
  refused([](auto& model) { model.layers[1].mlp_norm.weight.value.data[0] = std::nanf(""); },
          "model.layers.1.mlp.gate_proj");
}

TEST_CASE("blockwise: stories260K in 4 bits is saved, loaded and run, its bits counted from its bytes") {
  auto real = stories260k();
  if (!real) return;
  const auto stored = quantise_blockwise(real->model, {}, Rtn{.grid = {.bits = 4, .group = 32}});
  const TemporaryFolder folder;
  save(stored, folder.path(), {.tokenizer = &real->tokenizer});
  using Runs = Llama<float, Cpu, Stored<Grid>>;
  const auto [loaded, tokenizer] = load_pretrained<Runs>(folder.path());
  CHECK(tensors_of(loaded) == tensors_of(stored));
  CHECK(loaded.format.group == 32);
  CHECK(generate(loaded, tokenizer, "Once", {.max_tokens = 5}).size() > 4);
  const BitCounts bits = bit_counts(folder.path(), known_of<Runs>());
  CHECK(bits.block_linears_with_scales > 5.25);  // 4 + (32 + 8) / 32, and groups that are not full
  CHECK(bits.block_linears_with_scales < 5.4);
}

TEST_CASE("blockwise: stories260K loses less by GPTQ and under AWQ's scales than by rounding") {
  auto real = stories260k();
  if (!real) return;
  const auto tokens = real->corpus.tokens();
  const View<const std::int32_t> ids(tokens.data(), Shape{16, 128});
  const TokenStream unseen = TokenStream::from_tokens({tokens.begin() + 16 * 128, tokens.end()});
  const Tensor<float> original = host(real->model.block.values.view());
  const auto quantised = [&](const auto& method) {
    copy_to_device(read(original.view()), real->model.block.values.view());
    Reports reports;
    const auto stored = quantise_blockwise(real->model, ids, method, {}, &reports);
    double loss = 0;
    for (const LayerReport& report : reports.layers) loss += report.loss;
    const double nll = evaluate_perplexity(stored, unseen, {.context = 128, .max_windows = 12}).nll;
    MESSAGE(method.name, ": loss of the layers ", loss, ", of the model ", nll);
    return std::pair(loss, nll);
  };
  Seeing rounding;
  rounding.grid = {.bits = 3, .group = 32};
  const auto rtn = quantised(rounding), gptq = quantised(Gptq{.grid = rounding.grid});
  Awq awq{.grid = rounding.grid};
  AwqGptq both;
  both.grid = rounding.grid;
  const auto scaled = quantised(awq), last = quantised(both);
  CHECK(gptq.first < 0.8 * rtn.first);
  CHECK(gptq.second < rtn.second);
  CHECK(scaled.second < rtn.second);
  CHECK(last.second < rtn.second);
}
