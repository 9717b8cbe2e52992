// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/methods/post_training/gram_sum.hpp>
#include <binllm/methods/post_training/inverse_factor.hpp>

#include <doctest/doctest.h>
#include <Eigen/Cholesky>

#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// X^T X of n columns and so many rows.
Tensor<double> gram(Index rows, Index n) {
  const Tensor<double> x = normal_tensor<double>({rows, n}, 1);
  Tensor<double> h(Shape{n, n});
  h.view().matrix() = x.view().matrix().transpose() * x.view().matrix();
  return h;
}

}  // namespace

TEST_CASE("inverse factor: H^-1 = U^T U, U upper, of any size and number of threads") {
  for (const int threads : {1, 3}) {
    const Threads use(threads);
    for (const Index n : {1, 5, 96, 97, 300}) {
      CAPTURE(n);
      const Tensor<double> h = gram(2 * n, n);
      const InverseFactor factor = inverse_factor(h.view(), {.damping = 0.01});
      Matrix damped = h.view().matrix();
      damped.diagonal().array() += 0.01 * damped.diagonal().mean();
      const Matrix u = factor.upper.view().matrix();
      CHECK(factor.damping == 0.01);
      CHECK(factor.dead.empty());
      CHECK((u * damped * u.transpose() - Matrix::Identity(n, n)).norm() < 1e-10 * static_cast<double>(n));
      CHECK(Matrix(u.triangularView<Eigen::StrictlyLower>()).norm() == 0);
      const Matrix other = Matrix(damped.llt().solve(Matrix::Identity(n, n))).llt().matrixU();
      CHECK((u - other).norm() < 1e-8 * other.norm());
    }
  }
}

TEST_CASE("inverse factor: columns by activation, dead inputs") {
  Tensor<double> h = gram(20, 6);
  h.view().matrix().row(2).setZero();
  h.view().matrix().col(2).setZero();
  const InverseFactor factor = inverse_factor(h.view(), {.damping = 0, .activation_order = true});
  CHECK(factor.dead == std::vector<Index>{2});
  CHECK(factor.order.back() == 2);
  for (std::size_t k = 1; k < 6; ++k)
    CHECK(h.view().row(factor.order[k - 1])[factor.order[k - 1]] >= h.view().row(factor.order[k])[factor.order[k]]);
  Matrix ordered(6, 6);
  for (Index i = 0; i < 6; ++i) {
    for (Index j = 0; j < 6; ++j)
      ordered(i, j) =
          h.view().row(factor.order[static_cast<std::size_t>(i)])[factor.order[static_cast<std::size_t>(j)]];
  }
  ordered(5, 5) = 1;
  const Matrix u = factor.upper.view().matrix();
  CHECK((u * ordered * u.transpose() - Matrix::Identity(6, 6)).norm() < 1e-10);
}

TEST_CASE("inverse factor: damping grows until there is one, and says so; what is not finite is refused") {
  const Tensor<double> singular = gram(3, 8);
  const InverseFactor factor = inverse_factor(singular.view(), {.damping = 0});
  CHECK(factor.damping > 0);
  CHECK(factor.upper.view().flat().isFinite().all());
  Tensor<double> indefinite(Shape{2, 2});
  indefinite.view().flat() << 1, 5, 5, 1;
  CHECK(inverse_factor(indefinite.view(), {}).damping > 1);
  Tensor<double> bad = gram(9, 4);
  bad.view().data[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK(id_of([&] { static_cast<void>(inverse_factor(bad.view(), {})); }) == ErrorId::value_not_finite);
  bad = gram(9, 4);
  bad.view().data[1] = std::numeric_limits<double>::infinity();
  CHECK(id_of([&] { static_cast<void>(inverse_factor(bad.view(), {})); }) == ErrorId::value_not_finite);
  CHECK(id_of([&] { static_cast<void>(inverse_factor(gram(9, 4).view(), {.damping = -1})); }) ==
        ErrorId::option_out_of_range);
}

TEST_CASE("gram sum: 2/N sum x x^T, within the error that it states") {
  for (const Index n : {3, 96, 130, 400}) {
    CAPTURE(n);
    const Tensor<float> x = normal_tensor<float>({70, n}, 2, 1, 0.5);
    HessianSum<float, Cpu> sum(n);
    sum.add(read(x.view()).middle_rows(0, 30));
    sum.add(read(x.view()).middle_rows(30, 40));
    CHECK(sum.tokens() == 70);
    const Tensor<double> h = sum.take(7);
    const Matrix exact = x.view().matrix().cast<double>(), magnitudes = exact.cwiseAbs();
    const Matrix wanted = exact.transpose() * exact * (2.0 / 7);
    const Matrix bound = magnitudes.transpose() * magnitudes * (2.0 / 7) * 70 * std::ldexp(1.0, -24);
    CHECK(((h.view().matrix() - wanted).cwiseAbs() - bound).maxCoeff() <= 0);
    CHECK(h.view().matrix() == h.view().matrix().transpose());
  }
}
