// SPDX-License-Identifier: MIT
#include "support/gradients.hpp"

#include <binllm/nn/grouped_weight.hpp>
#include <binllm/ops/transient_linear.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// W_b = l tanh((w - mean) r) + deviation magnitude, r = 1 / unbiased deviation: every statistic, and a learned l.
template <Granularity g>
struct Smooth {
  using Numbers = TypeList<statistic::Mean, Learned, statistic::Deviation, statistic::InverseUnbiasedDeviation,
                           statistic::MeanMagnitude>;
  static constexpr Granularity granularity = g;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& mean, const X& l, const X& deviation, const X& r,
                                  const X& magnitude) const {
    return l * formula::tanh(X((w - mean) * r)) + deviation * magnitude;
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 6> partials(const X& w, const X& mean, const X& l, const X& deviation,
                                                    const X& r, const X& magnitude) const {
    const X y = formula::tanh(X((w - mean) * r)), e = l * (X(1) - y * y);
    return {X(e * r), X(-e * r), y, magnitude, X(e * (w - mean)), deviation};
  }
};

/// W_b = m w + (1 - m) t s sgn(w), s = the mean of (1 - m) |w|, which is detached.
struct OrdinaryMagnitude {
  static constexpr bool detached = true;
  template <class X>
  [[nodiscard]] static constexpr X term(const X& w, const X& m) {
    return (X(1) - m) * formula::abs(w);
  }
};
struct Masked {
  using Numbers = TypeList<OrdinaryMagnitude>;
  static constexpr bool masked = true;
  const double* t = nullptr;
  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& m, const X& s) const {
    return m * w + (X(1) - m) * static_cast<formula::lane_t<X>>(*t) * s * formula::sign(w);
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 2> partials(const X&, const X& m, const X&) const {
    return {m, X(X(1) - m)};
  }
};

template <Granularity g, class Device>
auto weight_of(Variable<double, Device> w, Variable<double, Device> l, Index run = 0) {
  return GroupedWeight<Smooth<g>, double, Device>{.formula = {}, .weight = w, .learned = {l}, .run = run};
}

/// Numbers of a weight, one group after the other.
std::vector<std::vector<double>> groups_of(View<const double> w, Granularity g, Index run) {
  const ScaleTraits traits{.granularity = g, .group = run};
  const Index count = traits.shape(w.shape[0], w.shape[1]).size();
  std::vector<std::vector<double>> groups(static_cast<std::size_t>(count));
  for (Index i = 0; i < w.size(); ++i) {
    const Index group = g == Granularity::column ? i % w.cols() : i / (w.size() / count);
    groups[static_cast<std::size_t>(group)].push_back(w.data[i]);
  }
  return groups;
}

}  // namespace

TEST_CASE("grouped weight: numbers and values of each granularity, on each device") {
  const Tensor<double> w = normal_tensor({5, 36}, 1, 0.5, 0.1);
  const auto check = [&]<Granularity g>(Index run) {
    const auto groups = groups_of(read(w.view()), g, run);
    const auto count = static_cast<Index>(groups.size());
    const Tensor<double> l = normal_tensor({count}, 2);
    on_each_device([&]<class Device>(Device) {
      Tape<Device> tape;
      const auto there = on_device<Device>(w), scales = on_device<Device>(l);
      const auto function = weight_of<g, Device>(tape.borrow(there.view()), tape.borrow(scales.view()), run);
      const auto numbers = host(function.numbers_of(tape).view());
      Tensor<double, Device> wb(w.shape());
      function.forward(tape, wb.view());
      const auto values = host(wb.view());
      std::vector<double> sums(groups.size());
      for (std::size_t i = 0; i < groups.size(); ++i) {
        const auto n = static_cast<double>(groups[i].size());
        double mean = 0, square = 0, magnitude = 0;
        for (const double x : groups[i]) mean += x / n, magnitude += std::abs(x) / n;
        for (const double x : groups[i]) square += (x - mean) * (x - mean);
        const double found[]{mean, l.view().data[i], std::sqrt(square / n), 1 / std::sqrt(square / (n - 1)), magnitude};
        for (Index k = 0; k < 5; ++k)
          CHECK(numbers.view().row(k)[static_cast<Index>(i)] == doctest::Approx(found[k]).epsilon(1e-12));
        const double first = l.view().data[i] * std::tanh((groups[i][0] - mean) * found[3]) + found[2] * magnitude;
        const Index at = static_cast<Index>(i) * (g == Granularity::column ? 1 : w.size() / count);
        CHECK(values.view().data[at] == doctest::Approx(first).epsilon(1e-12));
      }
    });
  };
  check.operator()<Granularity::row>(0);
  check.operator()<Granularity::column>(0);
  check.operator()<Granularity::tensor>(0);
  check.operator()<Granularity::group>(9);
}

TEST_CASE("grouped weight: gradients through every statistic are those of finite differences") {
  Tensor<double> x = normal_tensor({3, 36}, 1), w = normal_tensor({5, 36}, 2);
  w.view().flat() += 0.1 * w.view().flat().sign();  // |w| has no derivative at 0
  const auto check = [&]<Granularity g>(Index count, Index run) {
    Tensor<double> l = normal_tensor({count}, 3);
    const auto op = [&](auto a, auto v, auto s) { return transient_linear(a, weight_of<g, Cpu>(v, s, run)); };
    CHECK(gradient_error_of(op, x, w, l) < 1e-6);
    CHECK(frozen_inputs_work(op, x, w, l));
  };
  check.operator()<Granularity::row>(5, 0);
  check.operator()<Granularity::column>(36, 0);
  check.operator()<Granularity::tensor>(1, 0);
  check.operator()<Granularity::group>(20, 9);
}

TEST_CASE("grouped weight: a mask, t, and a detached statistic") {
  Tape<> tape;
  const auto w = tape.variable<double>({{1, -2, 3}, {-4, 5, 0}});
  const Tensor<double> m = list<double>({0, 1, 0, 1, 0, 0}), g = list<double>({1, 2, 3, 4, 5, 6}),
                       t = list<double>({2});
  const GroupedWeight<Masked, double, Cpu> function{
      .formula = {t.view().data}, .weight = w, .mask = read(m.view()).reshaped({2, 3})};
  Tensor<double> wb(w.shape());
  function.forward(tape, wb.view());
  const double first = 2 * (1 + 3) / 3.0, second = 2 * 5 / 3.0;
  CHECK(largest_difference(wb.view(), {first, -2, first, -4, second, second}) < 1e-15);
  function.backward(tape, read(g.view()).reshaped({2, 3}));
  CHECK(largest_difference(w.gradient(), {0, 2, 0, 4, 0, 0}) == 0);
}

TEST_CASE("grouped weight: a group of equal weights has no gradient that is no number") {
  Tape<> tape;
  const auto w = tape.variable<double>({{3, 3, 3, 3}});
  const auto l = tape.variable<double>({{2}});
  Tensor<double> wb(w.shape());
  const auto function = weight_of<Granularity::row, Cpu>(w, l.reshaped({1}));
  function.forward(tape, wb.view());
  CHECK(largest_difference(wb.view(), {0, 0, 0, 0}) == 0);
  function.backward(tape, read(wb.view()));
  CHECK(largest_difference(w.gradient(), {0, 0, 0, 0}) == 0);
}
