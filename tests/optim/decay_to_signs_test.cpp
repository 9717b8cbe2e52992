// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/optim/muon.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace binllm;
using namespace binllm::test;

TEST_CASE_TEMPLATE("decay to signs: the formula written out, and the row's mean magnitude stays", T, float, double) {
  OwnedParameter<T> w(Shape{3, 5}, {.rate = 0.5, .kind = ParameterKind::linear}), norm(Shape{4}, false),
      table(Shape{2, 2});
  w.value.flat() = normal_tensor<T>({15}, 1).view().flat();
  norm.value.flat() = 2;
  table.value.flat() = 2;
  const Tensor<T> before = normal_tensor<T>({15}, 1);
  constexpr double decay = 0.3, lr = 0.1;
  AdamW<T> adamw({&w, &norm, &table}, {.weight_decay = decay, .decay_to = DecayTarget::signs});
  adamw.step(lr);  // without a gradient
  for (Index row = 0; row < 3; ++row) {
    double mean = 0, now = 0;
    for (Index i = 5 * row; i < 5 * row + 5; ++i) mean += std::abs(static_cast<double>(before.view().data[i])) / 5;
    for (Index i = 5 * row; i < 5 * row + 5; ++i) {
      const auto x = static_cast<double>(before.view().data[i]);
      const double wanted = x - lr * 0.5 * decay * (x - (x >= 0 ? mean : -mean));
      CHECK(static_cast<double>(w.value.data[i]) == doctest::Approx(wanted).epsilon(1e-6));
      now += std::abs(static_cast<double>(w.value.data[i])) / 5;
    }
    CHECK(now == doctest::Approx(mean).epsilon(1e-6));
  }
  CHECK(static_cast<double>(norm.value.data[0]) == 2);
  CHECK(static_cast<double>(table.value.data[0]) == doctest::Approx(2 - lr * decay * 2));
}

TEST_CASE("decay to signs: Muon's too, and no pull without decay") {
  for (const double decay : {0.0, 0.25}) {
    OwnedParameter<double> w(Shape{1, 2}, {.kind = ParameterKind::linear});
    w.value.data[0] = 1, w.value.data[1] = -3;
    Muon<double> muon({&w}, {.others = {.weight_decay = decay, .decay_to = DecayTarget::signs}});
    muon.step(1);
    CHECK(w.value.data[0] == doctest::Approx(1 + decay));
    CHECK(w.value.data[1] == doctest::Approx(-3 + decay));
  }
}
