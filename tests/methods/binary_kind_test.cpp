// SPDX-License-Identifier: MIT
/// The methods that are policies of the binary kind.
#include "methods/trained_layer.hpp"
#include "support/any_model.hpp"

#include <binllm/methods/binaryllm.hpp>
#include <binllm/methods/ede.hpp>
#include <binllm/methods/hestia.hpp>
#include <binllm/methods/linear_blend.hpp>
#include <binllm/methods/strong.hpp>
#include <binllm/methods/vanilla.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/models/llama.hpp>

#include <initializer_list>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("vanilla: a layer trains for ten steps as Eq. 2 says") { check_trained_layer<Vanilla>("vanilla", 4, 12); }
TEST_CASE("ede: a layer trains for ten steps with IR-Net's estimator") { check_trained_layer<Ede>("ede", 4, 12); }
TEST_CASE("linear blend: a layer trains for ten steps on the line from W to its sign") {
  check_trained_layer<LinearBlend>("linear_blend", 4, 12);
}
TEST_CASE("hestia: a layer trains for ten steps, blended, annealed and hard, as a softmax over two codes") {
  check_trained_layer<Hestia>("hestia", 4, 12);
}
TEST_CASE("binaryllm: a layer trains for ten steps through the schedule") {
  check_trained_layer<BinaryLlm>("binaryllm", 4, 12);
}

TEST_CASE("strong: binaryllm's layer, step for step; no stage 1, and its start teaches") {
  check_trained_layer<Strong>("binaryllm", 4, 12);
  CHECK(!Strong::published.channel_search);
  CHECK(Strong::published.loss.wants_teacher());
  CHECK(!Strong::published.loss.wants_states());
}

TEST_CASE("hestia, binaryllm: gradients of a whole model are those of finite differences at every t") {
  CausalLm<LlamaArchitecture, double> dense(tiny_config());
  initialise(dense, 3, 0.3);
  const auto check = [&]<class M>(std::initializer_list<double> at) {
    auto model = quantise<typename M::template kind<double>>(dense);
    disturb(model);
    for (const double t : at) check_gradients(model, t, every_parameter);
  };
  check.operator()<Hestia>({0.0, 0.4, 1.0, 3.0});
  check.operator()<BinaryLlm>({0.0, 0.7, 4.0});
}
