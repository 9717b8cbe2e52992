// SPDX-License-Identifier: MIT
#include "example_layer.hpp"
#include "support/tensors.hpp"

#include <binllm/methods/post_training/gptq.hpp>
#include <binllm/methods/post_training/rtn.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

template <class M>
RowMatrix restored(const M& method, const CalibratedLayer& layer) {
  Grid::Matrix<float, Cpu> matrix(method.form(), {.out = layer.weight.rows(), .in = layer.weight.cols()});
  method(layer, matrix);
  Tensor<float> w(layer.weight.shape);
  matrix.restore(w.view());
  return w.view().matrix().cast<double>();
}

/// Rows that are rounded to nothing at all.
struct ExactRows {
  void begin(Index, const double*) {}
  void begin_block(Index, Index, Index, const double*) {}
  [[nodiscard]] double round(Index i, Index k, double x) {
    seen(i, k) = x;
    return x;
  }
  void end(Index) {}
  RowMatrix seen;
};

}  // namespace

TEST_CASE("gptq: the numbers of the script: rows, groups, order, one bit; any number of threads") {
  const ExampleLayer example;
  const GoldenValues golden("grids");
  const auto check = [&](const std::string& name, const Gptq& method) {
    const RowMatrix q = restored(method, example.layer());
    golden.check_matrix("gptq-" + name, q);
    // sum (w - q)^2 / U_jj^2 of the sweep is the squared error of the outputs by the damped Hessian.
    const RowMatrix d = example.weight() - q;
    const double damped = example.error(q) + 0.01 * example.hessian().diagonal().mean() * d.squaredNorm();
    CHECK(damped / 2 == doctest::Approx(golden["gptq-loss-" + name][0]).epsilon(1e-5));
  };
  for (const int threads : {1, 3}) {
    const Threads use(threads);
    check("4", {.grid = {.bits = 4}});
    check("3", {.grid = {.bits = 3}});
    check("1", {.grid = {.bits = 1}});
    check("1.58", {.grid = {.bits = 1.58}});
    check("2-group", {.grid = {.bits = 2, .group = 32}});
    check("1-group", {.grid = {.bits = 1, .group = 50}});
    check("4-wide-group", {.grid = {.bits = 4, .group = 100}, .block = 40});
    check("3-order", {.grid = {.bits = 3}, .hessian = {.activation_order = true}});
    check("3-order-group", {.grid = {.bits = 3, .group = 32}, .hessian = {.activation_order = true}});
  }
}

TEST_CASE("gptq: the numbers of GPTQModel, a package in Python") {
  const ExampleLayer example;
  const GoldenValues golden("packages");
  const auto check = [&](const std::string& name, const Gptq& method) {
    golden.check_matrix("gptq-" + name, restored(method, example.layer()));
  };
  check("4", {.grid = {.bits = 4}});
  check("3", {.grid = {.bits = 3}});
  check("2-group", {.grid = {.bits = 2, .group = 32}});
  check("3-order", {.grid = {.bits = 3}, .hessian = {.activation_order = true}});
  check("3-order-group", {.grid = {.bits = 3, .group = 32}, .hessian = {.activation_order = true}});
}

TEST_CASE("gptq: less error of the outputs than rounding to nearest; the same where no input knows another") {
  const ExampleLayer example;
  const ExampleLayer identity(example.weight(), RowMatrix::Identity(150, 150));
  for (const double bits : {1.0, 1.58, 2.0, 3.0, 4.0, 8.0}) {
    for (const bool ordered : {false, true}) {
      CAPTURE(bits);
      const GridOptions grid{.bits = bits};
      const Gptq method{.grid = grid, .hessian = {.activation_order = ordered}};
      const RowMatrix nearest = restored(Rtn{.grid = grid}, example.layer());
      CHECK(example.error(restored(method, example.layer())) < example.error(nearest));
      CHECK(restored(method, identity.layer()) == nearest);
    }
  }
}

TEST_CASE("gptq: what is rounded to itself stays as it is") {
  const ExampleLayer example;
  const InverseFactor& factor = example.layer().inputs.inverse_factor({});
  ExactRows rows{RowMatrix::Zero(8, 150)};
  sweep_columns(example.layer().weight, factor, 64, rows);
  CHECK(rows.seen == example.weight());
}

TEST_CASE("gptq: inputs that are always zero count as weights of zero") {
  const ExampleLayer example;
  RowMatrix h = example.hessian();
  for (const Index dead : {3, 149}) {
    h.row(dead).setZero();
    h.col(dead).setZero();
  }
  const ExampleLayer with_dead(example.weight(), h);
  for (const bool ordered : {false, true}) {
    const RowMatrix q =
        restored(Gptq{.grid = {.bits = 4}, .hessian = {.activation_order = ordered}}, with_dead.layer());
    CHECK(q.col(3).norm() == 0);
    CHECK(q.col(149).norm() == 0);
    CHECK(q.col(4).norm() > 0);
  }
}
