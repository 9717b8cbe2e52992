// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/autodiff/variable.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/sgd.hpp>

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("Sgd against the formula written out: momentum, clipping, decay and rate by rule") {
  for (const double momentum : {0.0, 0.9}) {
    OwnedParameter<double> matrix({{1, 2}, {3, 4}}), bias({3}, false),
        slow({2}, {.decays = true, .rate = 0.25, .kind = ParameterKind::vector});
    Sgd<double> sgd({&matrix, &bias, &slow}, {.momentum = momentum, .weight_decay = 0.1});
    std::array<double, 3> w{2, 0, 0}, m{};
    for (int step = 1; step <= 3; ++step) {
      const double gradient = 0.5 * step, lr = 0.1 / step, clip = 0.5;
      for (auto* parameter : {&matrix, &bias, &slow}) parameter->gradient.flat() = gradient;
      const std::array<double, 3> decay{0.1, 0, 0.1}, rate{1, 1, 0.25};
      for (std::size_t i = 0; i < 3; ++i) {
        m.at(i) = momentum * m.at(i) + clip * gradient + decay.at(i) * w.at(i);
        w.at(i) -= lr * rate.at(i) * m.at(i);
      }
      sgd.step(lr, clip);
      CHECK(matrix.value.data[1] == doctest::Approx(w[0]).epsilon(1e-14));
      CHECK(bias.value.data[2] == doctest::Approx(w[1]).epsilon(1e-14));
      CHECK(slow.value.data[0] == doctest::Approx(w[2]).epsilon(1e-14));
      CHECK(matrix.gradient.flat().abs().maxCoeff() == 0);
    }
    int states = 0;
    sgd.states([&](std::string_view name, const Tensor<double>&) { states += name == "momentum" ? 1 : 100; });
    CHECK(states == (momentum == 0 ? 0 : 1));
  }
}

TEST_CASE_TEMPLATE("optimisers by hand: a quadratic bowl, and a frozen parameter that stays", O, AdamW<double>,
                   Sgd<double>) {
  OwnedParameter<double> w({{3, -2}}), fixed({2}, {.frozen = true});
  fixed.value.flat() = 5;
  CHECK(!fixed.gradient);
  typename O::Options options;
  options.weight_decay = 0;
  O optimiser({&w, &fixed}, options);
  Tape tape;
  for (int step = 0; step < 300; ++step) {
    tape.reset();
    const auto x = tape.use(w);
    const auto loss = sum(multiply(x, x));
    tape.backward(loss);
    optimiser.step(0.05);
  }
  CHECK(w.value.flat().abs().maxCoeff() < 1e-2);
  CHECK((fixed.value.flat() == 5).all());
}

TEST_CASE("AdamW: the rate factor of a rule scales the step") {
  OwnedParameter<double> one({1}, false), half({1}, {.decays = false, .rate = 0.5});
  AdamW<double> adamw({&one, &half});
  one.gradient.data[0] = half.gradient.data[0] = 2;
  adamw.step(0.1);
  CHECK(half.value.data[0] == doctest::Approx(0.5 * one.value.data[0]));
  CHECK(one.value.data[0] == doctest::Approx(-0.1));
}

TEST_CASE("optimisers in one set of step scalars refuse a second of their name") {
  StepScalars<Cpu> scalars;
  ParameterBlock<double, Cpu> block;
  const AdamW<double> first(block, scalars);
  CHECK(scalars.named("learning_rate") != StepScalars<Cpu>::sharpness);
  CHECK_THROWS_AS((Sgd<double>(block, scalars)), Error);
}
