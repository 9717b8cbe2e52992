// SPDX-License-Identifier: MIT
#include "support/gradients.hpp"
#include "user_policy/own_policies.hpp"

#include <binllm/ops/binarize.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

/// The op with an estimator at one sharpness.
template <class E>
struct At {
  double t;
  template <class W, class S>
  auto operator()(W w, S s_l) const {
    return binarize_weight<E, DualScale<double>>(w, s_l, View<const double>(&t, {1}));
  }
};

}  // namespace

TEST_CASE("an estimator of plain scalar functions is one, and works in the binarising op") {
  static_assert(Estimator<user::AlgebraicSign<float>> && Estimator<user::AlgebraicSignInPacks<double>>);
  Tape tape;
  const auto w = tape.constant<double>({{1, -3}, {2, 2}});
  const auto s_l = tape.constant<double>({{10, 0.5}}).reshaped({2});
  const double small = 20 * 0.5 * std::sqrt(5 / 2.0), large = -20 * 1.5 * std::sqrt(5 / 10.0);
  const auto at = [&](double t) { return host(At<user::AlgebraicSign<double>>{t}(w, s_l).value()); };
  CHECK(largest_difference(at(2).view(), {small, large, 1, 1}) < 1e-13);
  CHECK(largest_difference(at(0).view(), {10, -30, 1, 1}) < 1e-14);
  CHECK(largest_difference(at(std::numeric_limits<double>::infinity()).view(), {20, -20, 1, 1}) == 0);
}

TEST_CASE("its gradients agree with finite differences") {
  for (const double t : {0.5, 3.0}) {
    Tensor<double> w = normal_tensor({5, 37}, 1), s_l = normal_tensor({5}, 2, 0.1, 1);
    w.view().flat() += 0.1 * w.view().flat().sign();
    CHECK(gradient_error_of(At<user::AlgebraicSign<double>>{t}, w, s_l) < 1e-6);
  }
}

TEST_CASE("written for packs it gives the same") {
  for (const double t : {0.0, 0.5, 3.0, std::numeric_limits<double>::infinity()}) {
    Tensor<double> w = normal_tensor({5, 70}, 1), s_l = normal_tensor({5}, 2, 0.1, 1);
    const auto scalar = gradients_of(At<user::AlgebraicSign<double>>{t}, 0, w, s_l);
    const auto packs = gradients_of(At<user::AlgebraicSignInPacks<double>>{t}, 0, w, s_l);
    CHECK(largest_difference(packs[0].view(), scalar[0].view()) < 1e-13);
    CHECK(largest_difference(packs[1].view(), scalar[1].view()) < 1e-12);
  }
}
