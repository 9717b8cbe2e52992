// SPDX-License-Identifier: MIT
// Tensors own memory, views look at it, and Eigen works on it in place: a line through twelve points, by Eigen's solver,
// where the tape's gradient then vanishes.
#include <binllm/autodiff/variable.hpp>
#include <binllm/core/random.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/mean_squared_error.hpp>

#include <fmt/core.h>

#include <Eigen/Cholesky>

namespace bl = binllm;

int main() {
  bl::Tensor<double> points({12, 2});  // one row-major block, zero at first
  auto x = points.view().matrix();     // Eigen::Map: the same memory
  const Eigen::MatrixXd before = x;    // a copy, in Eigen's own memory
  const bl::Random random(/*seed=*/1, bl::Purpose::test);
  for (bl::Index i = 0; i < 12; ++i) {
    x(i, 0) = static_cast<double>(i) / 4;
    points.view().row(i)[1] = 1;  // a row, as an Eigen array; 1 multiplies the constant of the line
  }
  fmt::print("element [4, 0] of tensor, map, copy: {} {} {}\n", points.view().data[8], x(4, 0), before(4, 0));
  bl::Tensor<double> heights({12, 1});
  auto y = heights.view().matrix();
  for (bl::Index i = 0; i < 12; ++i) y(i, 0) = 2 - 0.5 * x(i, 0) + 0.2 * random.normal(static_cast<std::uint64_t>(i));

  bl::Tensor<double> line({1, 2});
  line.view().matrix() = (x.transpose() * x).llt().solve(x.transpose() * y).transpose();  // (X^T X) w = X^T y
  bl::Tape tape;
  const auto w = tape.variable(read(line.view()));
  const auto fit = bl::linear(tape.constant(read(points.view())), w);
  tape.backward(bl::mean_squared_error(fit, tape.constant(read(heights.view()))));

  fmt::print("    x        y      fit\n");
  for (bl::Index i = 0; i < 12; ++i) fmt::print("{:5.2f}  {:7.4f}  {:7.4f}\n", x(i, 0), y(i, 0), fit.value().data[i]);
  fmt::print("slope {:.4f}, constant {:.4f}\n", line.view().data[0], line.view().data[1]);
  fmt::print("check: gradient at the solution below 1e-12: {}\n", w.gradient().flat().abs().maxCoeff() < 1e-12);
}
