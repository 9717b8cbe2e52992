// SPDX-License-Identifier: MIT
#include "support/small_llama.hpp"

#include <binllm/packed/kernels.hpp>
#include <binllm/policy/runtime.hpp>
#include <binllm/policy/straight_through.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {
constexpr double infinity = std::numeric_limits<double>::infinity();
/// Policies by name, so that one model type serves every case.
template <ChannelSharing sharing = ChannelSharing::shared>
using Chosen = Recipe<RuntimeEstimator<float>, RuntimeScale<float>, ChannelScale<float, sharing>, RuntimeSchedule>;

template <ChannelSharing sharing = ChannelSharing::shared>
auto chosen(std::string_view estimator = "progressive", std::string_view scale = "dual",
            std::string_view granularity = "row") {
  return Binary<Chosen<sharing>>{
      RuntimeEstimator<float>::named(estimator), RuntimeScale<float>::named(scale, granularity), {}};
}

const Tensor<std::int32_t>& ids() {
  static const auto tokens = random_ids({2, 9}, 37, 5);
  return tokens;
}
}  // namespace

TEST_CASE("a binary model at t = 0 computes what the dense model does") {
  auto dense = small_llama<float>();
  auto binary = binarize(dense, chosen());
  CHECK(largest_difference(logits_of(dense, read(ids().view())), logits_of(binary, read(ids().view()), 0)) < 1e-5);
  CHECK(largest_difference(logits_of(dense, read(ids().view())), logits_of(binary, read(ids().view()), infinity)) >
        0.01);
}

TEST_CASE_TEMPLATE("folding S_t away changes no logit", R, Chosen<>, Chosen<ChannelSharing::per_linear>) {
  auto dense = small_llama<float>();
  auto binary = binarize(dense, chosen<R::channel_scale::sharing>());
  auto search = channel_search(binary);
  CHECK(largest_difference(logits_of(search, read(ids().view())), logits_of(binary, read(ids().view()), infinity)) <
        1e-5);  // S_t = 1
  for (Index i = 0; i < search.block.values.size(); ++i)
    search.block.values.view().data[i] = 0.4f * std::sin(static_cast<float>(i));
  const auto searched = logits_of(search, read(ids().view()));
  fold_channel_scale(binary, search);
  CHECK(largest_difference(searched, logits_of(binary, read(ids().view()), infinity)) < 1e-5);
  for_each_linear([](auto& linear) { CHECK((linear.scale.value.flat() == 1.0f).all()); },
                  binary);  // S_l still starts at 1
}

TEST_CASE("a fold with S_t applied by hand is exact at every t") {
  // q, k, v see the same activation times S_t whether it is folded into the norm or multiplied by hand; rows of W_up
  // and W_v only change size, which W / S_a does not notice. So the folded model equals the per-linear one with the
  // same numbers.
  auto dense = small_llama<float>();
  auto folded = binarize(dense, chosen());
  auto by_hand = binarize(dense, chosen<ChannelSharing::per_linear>());
  auto search = channel_search(folded);
  auto search_by_hand = channel_search(by_hand);
  for (Index i = 0; i < search.block.values.size(); ++i)
    search.block.values.view().data[i] = 0.3f * std::cos(static_cast<float>(i));
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& from = search.layers[i];
    auto& to = search_by_hand.layers[i];
    const auto copy = [&](const auto& site, auto& linear) {
      linear.log_scale.value.flat() = site.channels(tape).value().flat();
    };
    copy(from.attention.input, to.attention.q_proj);
    copy(from.attention.input, to.attention.k_proj);
    copy(from.attention.input, to.attention.v_proj);
    copy(from.attention.o_input, to.attention.o_proj);
    copy(from.mlp.input, to.mlp.gate_proj);
    copy(from.mlp.input, to.mlp.up_proj);
    copy(from.mlp.down_input, to.mlp.down_proj);
  }
  fold_channel_scale(folded, search);
  fold_channel_scale(by_hand, search_by_hand);
  for (const double t : {0.0, 0.5, 3.0, 104.586, infinity}) {
    CAPTURE(t);
    CHECK(largest_difference(logits_of(folded, read(ids().view()), t), logits_of(by_hand, read(ids().view()), t)) <
          1e-5);
  }
}

TEST_CASE("packed logits equal those of the Sign model and of the unpacked one") {
  using Names = std::pair<std::string_view, std::string_view>;
  for (const auto& [scale, granularity] : {Names{"dual", "row"},
                                           {"dual", "column"},
                                           {"dual", "tensor"},
                                           {"analytic", "row"},
                                           {"learned", "row"},
                                           {"learned", "column"}}) {
    CAPTURE(scale);
    CAPTURE(granularity);
    auto dense = small_llama<float>();
    auto binary = binarize(dense, chosen("progressive", scale, granularity));
    std::uint64_t seed = 11;
    for_each_linear(
        [&](auto& linear) {  // scales as training leaves them, one of them negative
          const auto noise = normal_tensor<float>(Shape{linear.scale.size()}, ++seed, 0.1);
          linear.scale.value.flat() += linear.scale.value.flat() * noise.view().flat();
          if (linear.scale.size() > 0) linear.scale.value.data[0] *= -1;
        },
        binary);
    auto packed = pack<FloatActivations>(binary);
    auto unpacked = unpack(packed);
    const auto wanted = logits_of(binary, read(ids().view()), infinity);
    CHECK(largest_difference(wanted, logits_of(packed, read(ids().view()))) < 1e-5);
    CHECK(largest_difference(wanted, logits_of(unpacked, read(ids().view()))) < 1e-5);
  }
}

TEST_CASE("an explicit S_t survives packing as an input scale") {
  auto dense = small_llama<float>();
  auto binary = binarize(dense, chosen<ChannelSharing::per_linear>("progressive", "dual", "column"));
  for_each_linear(
      [](auto& linear) {
        linear.input_scale.value.flat() = 0.5f + 0.01f * Eigen::ArrayXf::LinSpaced(linear.input_scale.size(), 0, 10);
      },
      binary);
  auto packed = pack<FloatActivations>(binary);
  CHECK(packed.layers[0].mlp.down_proj.weight.input_scale.size() == 40);
  CHECK(largest_difference(logits_of(binary, read(ids().view()), infinity), logits_of(packed, read(ids().view()))) <
        1e-5);
}

TEST_CASE("run-time policies compute what compile-time ones do; group scales chosen at run time cannot be packed") {
  auto dense = small_llama<float>();
  auto fixed = binarize<Recipe<ErrorDecay<float>, AnalyticScale<float, Granularity::row, AnalyticGradient::detached>,
                               ChannelScale<float>, GeometricSchedule>>(dense);
  auto named = binarize(dense, chosen("ede", "analytic-detached"));
  CHECK(largest_difference(logits_of(fixed, read(ids().view()), 2), logits_of(named, read(ids().view()), 2)) == 0);
  const auto grouped = binarize(dense, chosen("progressive", "dual", "group:2"));
  try {
    static_cast<void>(pack(grouped));
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.id() == ErrorId::config_inconsistent);
    CHECK(error.found() == "group");
  }
}
