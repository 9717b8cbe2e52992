// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/optim/muon.hpp>

#include <doctest/doctest.h>
#include <Eigen/Eigenvalues>

#include <array>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

const ParameterRule linear{.kind = ParameterKind::linear};

/// Large enough that the iteration's products are cut among threads.
struct Layer {
  using Master = float;
  using device = Cpu;
  Parameter<float> weight{Shape{160, 200}, linear}, up{Shape{200, 160}, linear}, norm{Shape{200}, false};
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("weight", self.weight...);
    v("up", self.up...);
    v("norm", self.norm...);
  }
};

template <class T>
void fill_with_waves(View<T> w, View<T> g, double step) {
  for (Index i = 0; i < w.size(); ++i) {
    if (step == 0) w.data[i] = static_cast<T>(std::sin(static_cast<double>(i + 1)));
    g.data[i] = static_cast<T>(std::cos(0.7 * static_cast<double>(i) + step));
  }
}

}  // namespace

TEST_CASE_TEMPLATE("Muon: what PyTorch's computes, of wide, tall and square weights", T, double, float) {
  std::ifstream golden(BINLLM_SOURCE_DIR "/tests/golden/optim/muon.txt");
  REQUIRE(golden);
  int cases = 0;
  for (std::string line; std::getline(golden, line); ++cases) {
    std::istringstream numbers(line);
    Index rows{}, cols{};
    double decay{};
    numbers >> rows >> cols >> decay;
    CAPTURE(rows);
    OwnedParameter<T> w(Shape{rows, cols}, linear);
    fill_with_waves(w.value, w.gradient, 0);
    Muon<T> muon({&w}, {.others = {.weight_decay = decay}});
    for (int step = 1; step <= 3; ++step) {
      fill_with_waves(w.value, w.gradient, step);
      muon.step(0.02);
      CHECK(w.gradient.flat().abs().maxCoeff() == 0);
    }
    double farthest = 0;
    for (Index i = 0; i < w.size(); ++i) {
      double wanted{};
      numbers >> wanted;
      farthest = std::max(farthest, std::abs(static_cast<double>(w.value.data[i]) - wanted));
    }
    CHECK(farthest < (std::is_same_v<T, double> ? 1e-12 : 2e-5));
  }
  CHECK(cases == 3);
}

TEST_CASE("Muon: singular values of an update near 1, times the size of AdamW's updates") {
  OwnedParameter<double> w(Shape{6, 20}, linear);
  w.gradient.flat() = normal_tensor({6, 20}, 3).view().flat();
  Muon<double> muon({&w}, {.others = {.weight_decay = 0}});
  muon.step(1);
  const auto update = w.value.matrix();
  const Eigen::MatrixXd gram = update * update.transpose();
  const Eigen::VectorXd squares = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(gram).eigenvalues();
  const double size = 0.2 * std::sqrt(20.0);
  for (const double square : squares) {
    CHECK(std::sqrt(square) / size > 0.6);
    CHECK(std::sqrt(square) / size < 1.3);
  }
}

TEST_CASE("Muon steps weights of linear layers alone: all others are AdamW's, to the last bit") {
  const auto start = [](const auto& parameter) {
    parameter.value.flat() = normal_tensor(Shape{parameter.size()}, 5).view().flat();
  };
  const AdamWOptions others{.weight_decay = 0.2, .linear_rate = 2};
  OwnedParameter<double> table(Shape{4, 3}), norm(Shape{3}, false), w(Shape{3, 3}, linear);
  OwnedParameter<double> same_table(Shape{4, 3}), same_norm(Shape{3}, false), same_w(Shape{3, 3}, linear);
  for (auto* parameter : {&table, &norm, &w, &same_table, &same_norm, &same_w}) start(*parameter);
  Muon<double> muon({&table, &norm, &w}, {.others = others});
  AdamW<double> adamw({&same_table, &same_norm, &same_w}, others);
  for (int step = 0; step < 2; ++step) {
    for (auto* parameter : {&table, &norm, &w, &same_table, &same_norm, &same_w})
      parameter->gradient.flat() = normal_tensor(Shape{parameter->size()}, 7).view().flat();
    muon.step(0.1, 0.5);
    adamw.step(0.1, 0.5);
  }
  CHECK(same_bits(read(table.value), read(same_table.value)));
  CHECK(same_bits(read(norm.value), read(same_norm.value)));
  CHECK_FALSE(same_bits(read(w.value), read(same_w.value)));
}

TEST_CASE("Muon over a model's block: the same bits as by hand, and at any number of threads") {
  const auto trained = [](int threads) {
    const Threads chosen(threads);
    Layer layer;
    ParameterBlock<float, Cpu> block;
    block.allocate(layer, true);
    CHECK(block.matrices.size() == 2);
    StepScalars<Cpu> scalars;
    Muon<float> muon(block, scalars);
    for_each_parameter(
        layer, [](const std::string&, auto& parameter) { fill_with_waves(parameter.value, parameter.gradient, 0); });
    for (Index step = 1; step <= 2; ++step) {
      muon.prepare(step, 0.01);
      muon.clip(0.5);
      muon.update();
    }
    return std::move(block.values);
  };
  const auto once = trained(1), again = trained(2);
  CHECK(same_bits(once.view(), again.view()));
  OwnedParameter<float> weight(Shape{160, 200}, linear), gradient(Shape{160, 200}, linear);
  fill_with_waves(weight.value, gradient.gradient, 0);
  Muon<float> by_hand({&weight});
  for (int step = 0; step < 2; ++step) {
    weight.gradient.flat() = gradient.gradient.flat();
    by_hand.step(0.01, 0.5);
  }
  CHECK(same_bits(View<const float>(once.view().data, weight.value.shape), read(weight.value)));
}
