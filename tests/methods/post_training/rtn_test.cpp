// SPDX-License-Identifier: MIT
#include "example_layer.hpp"
#include "support/errors.hpp"

#include <binllm/methods/post_training/rtn.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

RowMatrix restored(const Rtn& method, const CalibratedLayer& layer) {
  Grid::Matrix<float, Cpu> matrix(method.form(), {.out = layer.weight.rows(), .in = layer.weight.cols()});
  method(layer, matrix);
  Tensor<float> w(layer.weight.shape);
  matrix.restore(w.view());
  return w.view().matrix().cast<double>();
}

}  // namespace

TEST_CASE("rtn: the numbers of the script, by row and by group") {
  const ExampleLayer example;
  const GoldenValues golden("grids");
  for (const char* const bits : {"1", "1.58", "2", "3", "4", "8"}) {
    const GridOptions grid{.bits = std::stod(bits)};
    golden.check_matrix(std::string("rtn-") + bits, restored({.grid = grid}, example.layer()));
  }
  golden.check_matrix("rtn-1-centred", restored({.grid = {.bits = 1, .centred = true}}, example.layer()));
  golden.check_matrix("rtn-3-group", restored({.grid = {.bits = 3, .group = 64}}, example.layer()));
}

TEST_CASE("rtn: one bit leaves 1 - 2/pi of Gaussian rows' squares, as more bits leave less") {
  RowMatrix w(8, 4096);
  const Random random(5, Purpose::test);
  for (Index i = 0; i < w.size(); ++i) w.data()[i] = random.normal(static_cast<std::uint64_t>(i));
  const ExampleLayer example(w, RowMatrix::Identity(1, 1));
  double least = 1;
  for (const double bits : {1.0, 1.58, 2.0, 3.0, 4.0, 8.0}) {
    const double error = (restored({.grid = {.bits = bits}}, example.layer()) - w).squaredNorm() / w.squaredNorm();
    if (bits == 1) CHECK(error == doctest::Approx(1 - 2 / 3.14159265358979).epsilon(0.01));
    if (bits != 2) CHECK(error < least);  // four levels from least to largest are worse than three about the mean
    least = std::min(error, least);
  }
}

TEST_CASE("rtn: rows of zeros, of one value, and of one sign") {
  RowMatrix w(3, 6);
  w << 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, -1, -2, -3, -4, -5, -6;
  const ExampleLayer example(w, RowMatrix::Identity(6, 6));
  for (const double bits : {1.0, 1.58, 2.0, 3.0, 4.0, 8.0}) {
    CAPTURE(bits);
    const RowMatrix q = restored({.grid = {.bits = bits}}, example.layer());
    CHECK(q.allFinite());
    if (bits > 1) CHECK(q.row(0).norm() == 0);
    CHECK((q.row(1) - w.row(1)).norm() < 1e-6);
  }
  CHECK((restored({.grid = {.bits = 8}}, example.layer()) - w).norm() < 0.03);
  CHECK((restored({.grid = {.bits = 1, .centred = true}}, example.layer()).row(1) - w.row(1)).norm() == 0);
}
