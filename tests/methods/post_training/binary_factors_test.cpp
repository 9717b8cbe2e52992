// SPDX-License-Identifier: MIT
#include "methods/post_training/example_layer.hpp"

#include <binllm/methods/post_training/binary_factors.hpp>
#include <binllm/packed/kernels.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

RowMatrix factored(const ExampleLayer& example, const DoubleBinary& method) {
  BinaryFactors::Matrix<double, Cpu> matrix(method.form(), example.shape());
  const Index rank = method.form().rank(example.shape().out, example.shape().in);
  method.factor(example.layer(), hash_numbers("left", example.shape().out, rank),
                hash_numbers("right", rank, example.shape().in), matrix);
  Tensor<double> w(Shape{example.shape().out, example.shape().in});
  matrix.dense(w.view());
  return w.view().matrix();
}

}  // namespace

TEST_CASE("dbf: what the code of its authors finds") {
  const GoldenValues golden("dbf");
  const DoubleBinary method{.bits = 2, .iterations = 12};
  const ExampleLayer wide;
  golden.check_matrix("wide", factored(wide, method));
  const ExampleLayer tall(wide.weight().transpose(), Eigen::VectorXd::LinSpaced(8, 1, 8).asDiagonal());
  golden.check_matrix("tall", factored(tall, method));
}

TEST_CASE("dbf: a product of two matrices of signs is found again, nearly") {
  ScaledSigns a{hash_numbers("a", 24, 6).array().sign().matrix(), Eigen::VectorXd::Ones(24), Eigen::VectorXd::Ones(6)};
  const RowMatrix w = a.sign * hash_numbers("b", 6, 40).array().sign().matrix();
  const ExampleLayer example(w, RowMatrix::Identity(40, 40));
  const DoubleBinary method{.bits = 6 * 64 / 960.0 + 1e-9};
  REQUIRE(method.form().rank(24, 40) == 6);
  BinaryFactors::Matrix<double, Cpu> matrix(method.form(), example.shape());
  method(example.layer(), matrix);
  Tensor<double> found(Shape{24, 40});
  matrix.dense(found.view());
  const double left = (found.view().matrix() - w).squaredNorm() / w.squaredNorm();
  CHECK(left < 0.01);
}
