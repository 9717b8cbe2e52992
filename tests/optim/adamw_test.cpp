// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>
#include <binllm/optim/learning_rate.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {
struct Two {  // a module with one matrix that decays and one norm that does not
  using Master = double;
  using device = Cpu;
  Parameter<double> norm{Shape{5}, false};
  Parameter<double> weight{Shape{3, 7}};
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("norm", self.norm...);
    v("weight", self.weight...);
  }
};
}  // namespace

TEST_CASE("AdamW against the formula written out, with clipping, decay on matrices only") {
  Two model;
  ParameterBlock<double, Cpu> block;
  block.allocate(model, true);
  const AdamWOptions o{.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1};
  StepScalars<Cpu> scalars;
  AdamW<double> adamw(block, scalars, o);
  model.weight.value.flat() = normal_tensor({21}, 1).view().flat();
  model.norm.value.flat() = 1;
  double w = model.weight.value.data[4], n = 1, m_w = 0, v_w = 0, m_n = 0, v_n = 0;
  for (Index step = 1; step <= 3; ++step) {
    const double g = 0.3 * static_cast<double>(step), lr = 0.01 / static_cast<double>(step), clip = 0.5;
    model.weight.gradient.flat() = g;
    model.norm.gradient.flat() = -g;
    adamw.prepare(step, lr);
    adamw.clip(clip);
    adamw.update();
    const auto expect = [&](double& x, double& m, double& v, double gradient, double decay) {
      gradient *= clip;
      m = 0.9 * m + 0.1 * gradient;
      v = 0.95 * v + 0.05 * gradient * gradient;
      const double k = static_cast<double>(step);
      x -= lr * (m / (1 - std::pow(0.9, k)) / (std::sqrt(v / (1 - std::pow(0.95, k))) + 1e-8) + decay * x);
    };
    expect(w, m_w, v_w, g, 0.1);
    expect(n, m_n, v_n, -g, 0);
    CHECK(model.weight.value.data[4] == doctest::Approx(w).epsilon(1e-12));
    CHECK(model.norm.value.data[2] == doctest::Approx(n).epsilon(1e-12));
  }
}

TEST_CASE("AdamW: weights of linear layers have a learning rate of their own") {
  OwnedParameter<double> table(Shape{1, 2}), linear(Shape{1, 2}, {.kind = ParameterKind::linear});
  AdamW<double> adamw({&table, &linear}, {.weight_decay = 0, .linear_rate = 0.25});
  for (auto* parameter : {&table, &linear}) parameter->gradient.flat() = 3;
  adamw.step(0.1);
  CHECK(table.value.data[0] == doctest::Approx(-0.1));
  CHECK(linear.value.data[0] == doctest::Approx(-0.025));
}

TEST_CASE_TEMPLATE("AdamW: every element of a block of any size, the same bits at any number of threads", T, float,
                   double) {
  constexpr double lr = 0.01, clip = 0.5, c1 = 0.3, c2 = 0.2, decay = 0.1;  // decay as by default
  StepScalars<Cpu> scalars;
  scalars.set(scalars.add("learning_rate"), lr);
  scalars.set(scalars.add("clip"), clip);
  scalars.set(scalars.add("first_correction"), c1);
  scalars.set(scalars.add("second_correction"), c2);
  for (const Index size : {1, 7, 24, 31, 33, 100, 40000}) {
    CAPTURE(size);
    const auto g = normal_tensor<T>({size}, 1);
    const auto run = [&] {
      std::array<Tensor<T>, 3> block{normal_tensor<T>({size}, 2), normal_tensor<T>({size}, 3),
                                     normal_tensor<T>({size}, 4)};
      auto& [w, m, v] = block;
      v.view().flat() = v.view().flat().square();
      Kernel<AdamWUpdate, Cpu>::update({}, {}, AdamWUpdate::Step::of(scalars), g.view(), w.view(), m.view(),
                                       v.view());
      return block;
    };
    const auto once = run();
    const auto w = normal_tensor<T>({size}, 2), m = normal_tensor<T>({size}, 3), v = normal_tensor<T>({size}, 4);
    Tensor<double> wanted_w({size}), wanted_m({size}), wanted_v({size});
    for (Index i = 0; i < size; ++i) {
      const double gradient = clip * static_cast<double>(g.view().data[i]), x = static_cast<double>(w.view().data[i]);
      const double root_v = static_cast<double>(v.view().data[i]);
      const double first = 0.9 * static_cast<double>(m.view().data[i]) + 0.1 * gradient;
      const double second = 0.95 * root_v * root_v + 0.05 * gradient * gradient;
      wanted_m.view().data[i] = first;
      wanted_v.view().data[i] = second;
      wanted_w.view().data[i] = x - lr * (first / c1 / (std::sqrt(second / c2) + 1e-8) + decay * x);
    }
    const double tolerance = 50 * static_cast<double>(std::numeric_limits<T>::epsilon());
    CHECK(largest_difference(once[0].view(), wanted_w.view()) < tolerance);
    CHECK(largest_difference(once[1].view(), wanted_m.view()) < tolerance);
    CHECK(largest_difference(once[2].view(), wanted_v.view()) < tolerance);
    const Threads threads(2);
    const auto again = run();
    for (std::size_t i = 0; i < once.size(); ++i) CHECK(same_bits(again.at(i).view(), once.at(i).view()));
  }
}

TEST_CASE("the global norm over sizes around its pieces, the same at any number of threads") {
  for (const Index size : {1, 4095, 4096, 4097, 20000}) {
    CAPTURE(size);
    const auto g = normal_tensor({size}, 3);
    GlobalNorm<double> norm(size);
    set_thread_count(1);
    const double once = norm(g.view());
    set_thread_count(2);
    CHECK(norm(g.view()) == once);
    set_thread_count(1);
    CHECK(once == doctest::Approx(std::sqrt(g.view().flat().square().sum())).epsilon(1e-12));
  }
  CHECK(clip_factor(2, 1) == 0.5);
  CHECK(clip_factor(0.5, 1) == 1);
  CHECK(clip_factor(100, 0) == 1);
}

TEST_CASE("the global norm does not know where its ranges lie: the same bits as of one stretch") {
  const Index size = 5 * 4096 + 16 * 100;
  const auto g = normal_tensor<float>({size}, 3);
  GlobalNorm<float> whole(size);
  const double wanted = whole(g.view());
  for (const Index longest : {16, 1600, 4096, 6000 / 16 * 16, 12288}) {  // longest range, from shorter to longer than pieces
    CAPTURE(longest);
    // The ranges of [0, size), put down in reverse order with gaps between them.
    std::vector<BlockRange> ranges;
    Tensor<float> scattered({3 * size});
    Index at = 3 * size;
    for (Index from = 0, k = 0; from < size; ++k) {
      const Index count = std::min(size - from, 16 + k * 7919 * 16 % longest);
      at -= count + 16 * (k % 2);
      ranges.push_back({at, at + count});
      std::copy_n(g.view().data + from, count, scattered.view().data + at);
      from += count;
    }
    GlobalNorm<float> norm(ranges);
    CHECK(norm(read(scattered.view())) == wanted);
    const Threads threads(2);
    CHECK(norm(read(scattered.view())) == wanted);
  }
  GlobalNorm<float> none(std::vector<BlockRange>{});
  CHECK(none(View<const float>()) == 0);
}

TEST_CASE("cosine learning rate: warm-up, peak, end") {
  const CosineLearningRate rate{1e-4, 2e-6, 4, 104};
  CHECK(rate(0) == doctest::Approx(0.25e-4));
  CHECK(rate(3) == doctest::Approx(1e-4));
  CHECK(rate(4) == doctest::Approx(1e-4));
  CHECK(rate(103) == doctest::Approx(2e-6));
  for (Index step = 5; step < 104; ++step) CHECK(rate(step) < rate(step - 1));
  CHECK(CosineLearningRate{1e-3, 1e-5, 0, 1}(0) == doctest::Approx(1e-5));
}
