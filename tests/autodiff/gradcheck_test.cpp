// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

/// y = x^2 whose backward is `factor` times too large at element 1, plus `spoil`.
Variable<double> square(Variable<double> x, double factor, double spoil) {
  auto y = x.tape().make<double>(x.shape());
  y.value().flat() = x.value().flat().square();
  x.tape().on_backward(
      y,
      [=] {
        x.gradient().flat() += 2 * x.value().flat() * y.gradient().flat() + spoil;
        x.gradient().data[1] *= factor;
      },
      x);
  return y;
}

}  // namespace

TEST_CASE("right gradients pass with room to spare, and the inputs are as before") {
  Tensor<double> x = normal_tensor({2, 3}, 1), y = normal_tensor({2, 3}, 2);
  const auto op = [](Tape<>&, auto a, auto b) { return sum(multiply(square(a, 1, 0), b)); };
  CHECK(gradcheck(op, x, y).relative < 1e-10);
  CHECK(same_bits(x.view(), normal_tensor({2, 3}, 1).view()));
}

TEST_CASE("a wrong gradient is found, with its element and both numbers") {
  Tensor<double> x = normal_tensor({2, 3}, 1), y = normal_tensor({2, 3}, 2);
  const auto op = [](Tape<>&, auto a, auto b) { return sum(multiply(square(a, 1.01, 0), b)); };
  const GradientError error = gradcheck(op, x, y);
  CHECK(error.relative > 1e-4);
  CHECK(error.worst == 1);
  CHECK(error.numeric == doctest::Approx(2 * x.view().data[1] * y.view().data[1]));
  CHECK(error.analytic == doctest::Approx(1.01 * error.numeric));
}

TEST_CASE("NaN in any input's gradient is not outweighed by the others") {
  Tensor<double> x = normal_tensor({2, 3}, 1), y = normal_tensor({2, 3}, 2);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto first = [&](Tape<>&, auto a, auto b) { return sum(multiply(square(a, 1, nan), square(b, 1, 0))); };
  const auto second = [&](Tape<>&, auto a, auto b) { return sum(multiply(square(a, 1, 0), square(b, 1, nan))); };
  CHECK_FALSE(gradcheck(first, x, y).relative < 1);
  CHECK_FALSE(gradcheck(second, x, y).relative < 1);
}

TEST_CASE("only some elements are looked at where that is asked for") {
  Tensor<double> x = normal_tensor({100}, 1);
  int calls = 0;
  const auto f = [&] {
    ++calls;
    return x.view().flat().square().sum();
  };
  Tensor<double> gradient({100});
  gradient.view().flat() = 2 * x.view().flat();
  CHECK(gradient_error(f, x.view(), gradient.view(), 10).relative < 1e-10);
  CHECK(calls == 4 * 10);
}
