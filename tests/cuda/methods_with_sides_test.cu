// SPDX-License-Identifier: MIT
// Methods whose layers do more than multiply, on the GPU: the loss and every gradient of a model are those of the CPU,
// in double, where no rounding falls on the other side.
#include "cuda/models.hpp"

#include <binllm/methods/binarymos.hpp>
#include <binllm/methods/bitnet.hpp>
#include <binllm/methods/bitnet_158.hpp>
#include <binllm/methods/onebit.hpp>
#include <binllm/methods/quest.hpp>
#include <binllm/methods/reactnet.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Loss and gradients of a model, in one backward pass.
template <class Model>
std::vector<Tensor<double>> results(Model& model, double t) {
  using T = typename Model::value_type;
  using D = typename Model::device;
  const auto ids = on_device<D>(random_ids({2, 13}, 97, 1)), targets = on_device<D>(random_ids({2, 13}, 97, 2));
  StepScalars<D> scalars;
  scalars.set(StepScalars<D>::sharpness, t);
  Tape<D> tape;
  Pass<T, D> pass{tape, scalars};
  model.block.zero_gradients();
  const auto loss = model.loss(pass, ids.view(), targets.view());
  tape.backward(loss);
  std::vector<Tensor<double>> all;
  all.push_back(in_double(loss.value()));
  for (const auto& [name, parameter] : named_parameters(model)) all.push_back(in_double(parameter->gradient));
  return all;
}

template <LinearKind K>
void check_kind(double t) {
  Llama<double> dense(gpu_config());
  initialise(dense, 1, 0.1);
  auto on_host = quantise<K>(dense);
  auto model = on_device<Cuda, double>(on_host);
  const auto wanted = results(on_host, t), found = results(model, t);
  REQUIRE(found.size() == wanted.size());
  double largest = 0;
  for (std::size_t i = 1; i < wanted.size(); ++i) largest = std::max(largest, norm(wanted[i]));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(std::string(K::name));
    CAPTURE(i);
    CHECK(relative_distance(found[i], wanted[i], i == 0 ? 0 : 0.01 * largest) < 1e-8);
  }
}

}  // namespace

TEST_CASE("cuda methods: layers with sides have the loss and the gradients of the CPU") {
  if (!gpu()) return;
  check_kind<OneBitKind>(1);
  check_kind<BitNetKind<BitNetActivations::eight>>(1);
  check_kind<BitNetKind<BitNetActivations::sixteen>>(1);
  check_kind<BitNet158Kind<InnerNorm::model>>(0.3);
  // Not at t = 1: sums of signs and whole numbers are whole, the norm leaves their ratios, and of 127 n / n_max the half
  // is rounded up or down by the last bit of a sum.
  check_kind<BitNet158Kind<InnerNorm::inside>>(0.3);
  check_kind<BinaryMosKind>(1);
  check_kind<QuestKind>(1);
  check_kind<ReActNetKind<ReActNetActivations::one>>(0);
  // Not at t = 1: sums of as many +S as -S are 0 or a rounding error, and the next layer takes the sign of that.
  check_kind<ReActNetKind<ReActNetActivations::sixteen>>(1);
}

TEST_CASE("cuda methods: the start on a GPU is that on the CPU") {
  if (!gpu()) return;
  Llama<float> dense(gpu_config());
  initialise(dense, 1, 0.1);
  const auto there = on_device<Cuda, float>(dense);
  const auto check = [&]<class K>() {
    CHECK(weight_distance(quantise<K>(there), in_double(quantise<K>(dense).block.values.view())) == 0);
  };
  check.operator()<OneBitKind>();
  check.operator()<BinaryMosKind>();
  check.operator()<ReActNetKind<ReActNetActivations::one>>();
}
