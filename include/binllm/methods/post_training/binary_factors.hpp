// SPDX-License-Identifier: MIT
/// A weight as a product of two matrices of signs, by the alternating direction method of multipliers (Boža, Macko,
/// double binary factorisation, arXiv 2505.11076):
///
///     diag(n) W^T  ~  P Q,     P and Q of the form  u v^T sgn(.),     n_j = sqrt H_jj / scale of inputs
#pragma once
#include <binllm/core/random.hpp>
#include <binllm/methods/forms/binary_factors.hpp>
#include <binllm/methods/post_training/calibrated_layer.hpp>

#include <Eigen/Cholesky>
#include <cmath>

namespace binllm {

/// A matrix u v^T with signs: u_i v_j s_ij.
struct ScaledSigns {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix sign;
  Eigen::VectorXd row, column;

  /// The signs of x, and of |x| the part of rank 1, by five steps of the power method. A sign of 0 is +1.
  [[nodiscard]] static ScaledSigns of(const Matrix& x) {
    const Matrix magnitude = x.cwiseAbs();
    ScaledSigns found;
    found.sign = ((x.array() >= 0).cast<double>() * 2 - 1).matrix();
    found.column = Eigen::VectorXd::Ones(x.cols()).normalized();
    for (int step = 0; step < 5; ++step) {
      const Eigen::VectorXd row = (magnitude * found.column).normalized();
      found.column = (magnitude.transpose() * row).normalized();
    }
    found.row = magnitude * found.column;
    return found;
  }
  [[nodiscard]] Matrix value() const { return row.asDiagonal() * sign * column.asDiagonal(); }
};

/// One factor of P Q while the other stands still: minimises |X F - W|^2 over F of the form u v^T sgn(.).
struct FactorStep {
  using Matrix = ScaledSigns::Matrix;
  static constexpr double ridge = 0.03;
  static constexpr int rounds = 3;

  Matrix z, dual;  ///< F, and the running sum of what the constraint costs

  explicit FactorStep(const Matrix& start) : z(start), dual(Matrix::Zero(start.rows(), start.cols())) {}

  /// (X^T X + ridge + rho) F = X^T W + rho (Z - U);   Z = the nearest u v^T sgn(.) of F + U;   U += F - Z
  /// Three times, with rho = `first` and then 1.
  void operator()(const Matrix& x, const Matrix& w, double first) {
    Matrix gram(x.cols(), x.cols()), target(x.cols(), w.cols());
    product(Product::tn, x, x, gram);
    product(Product::tn, x, w, target);
    gram.diagonal().array() += ridge * gram.diagonal().mean();
    Matrix inverse = inverse_of(gram, first), f(z.rows(), z.cols());
    for (int round = 0; round < rounds; ++round) {
      const double rho = round == 0 ? first : 1;
      if (round == 1) inverse = inverse_of(gram, rho);
      product(Product::nn, inverse, target + rho * (z - dual), f);
      found = ScaledSigns::of(f + dual);
      z = found.value();
      dual += f - z;
    }
  }
  ScaledSigns found;

 private:
  static void product(Product kind, const Matrix& a, const Matrix& b, Matrix& c) {
    const auto view = [](const Matrix& m) { return View<const double>(m.data(), Shape{m.rows(), m.cols()}); };
    Backend<Cpu>::gemm(kind, view(a), view(b), View<double>(c.data(), Shape{c.rows(), c.cols()}));
  }
  [[nodiscard]] static Matrix inverse_of(const Matrix& gram, double rho) {
    const Matrix identity = Matrix::Identity(gram.rows(), gram.cols());
    return (gram + rho * identity).llt().solve(identity);
  }
};

/// W ~ P diag(middle) Q.
struct FactoredSigns {
  using Matrix = ScaledSigns::Matrix;
  ScaledSigns left, right;
  Eigen::VectorXd middle;

  /// From the starts P (rows, rank) and Q (rank, cols). Each step sees the other factor with columns, or rows, of norm 1.
  [[nodiscard]] static FactoredSigns of(const Matrix& w, const Matrix& p, const Matrix& q, Index iterations) {
    FactorStep left(p.transpose()), right(q);
    const Matrix transposed = w.transpose();
    Eigen::VectorXd norms;
    for (Index step = 0; step < iterations; ++step) {
      const double share = static_cast<double>(step) / static_cast<double>(std::max<Index>(iterations - 3, 1));
      const double rho = std::pow(std::min(1.0, share), 3);
      norms = (right.z.rowwise().norm().array() + 1e-12).inverse();
      left((norms.asDiagonal() * right.z).transpose(), transposed, rho);
      norms = (left.z.rowwise().norm().array() + 1e-12).inverse();
      right((norms.asDiagonal() * left.z).transpose(), w, rho);
    }
    FactoredSigns found{{left.found.sign.transpose(), left.found.column, left.found.row}, right.found, norms};
    return found;
  }
  [[nodiscard]] Matrix value() const { return left.value() * middle.asDiagonal() * right.value(); }
};

struct DoubleBinary {
  static constexpr std::string_view name = "dbf";
  static constexpr std::string_view summary = "a product of two matrices of signs, found by ADMM";
  static constexpr std::string_view source = "Boza and Macko, arXiv 2505.11076";
  using Form = BinaryFactors;

  double bits = 1;
  Index iterations = 260;
  std::uint64_t seed = 0;  ///< of the numbers that both factors start from

  [[nodiscard]] BinaryFactors form() const { return {bits}; }

  template <class T>
  void operator()(const CalibratedLayer& layer, BinaryFactors::Matrix<T, Cpu>& to) const {
    const Index out = layer.weight.rows(), in = layer.weight.cols(), rank = form().rank(out, in);
    const auto start = [&](Index rows, Index cols, std::uint64_t step) {
      const Random random(seed, Purpose::initialise, step);
      FactoredSigns::Matrix values(rows, cols);
      for (Index i = 0; i < values.size(); ++i) values.data()[i] = random.normal(static_cast<std::uint64_t>(i));
      return values;
    };
    factor(layer, start(out, rank, 0), start(rank, in, 1), to);
  }
  /// The same from the starts of both factors, (out, rank) and (rank, in).
  template <class T>
  void factor(const CalibratedLayer& layer, const FactoredSigns::Matrix& p, const FactoredSigns::Matrix& q,
              BinaryFactors::Matrix<T, Cpu>& to) const {
    const Eigen::VectorXd norms = input_norms(layer);
    const FactoredSigns::Matrix w = layer.weight.matrix().template cast<double>() * norms.asDiagonal();
    // The narrower side first, as the authors' code has it.
    const bool turned = w.rows() >= w.cols();
    FactoredSigns found = turned ? FactoredSigns::of(w.transpose(), q.transpose(), p.transpose(), iterations)
                                 : FactoredSigns::of(w, p, q, iterations);
    if (turned) {
      const auto turn = [](const ScaledSigns& s) { return ScaledSigns{s.sign.transpose(), s.column, s.row}; };
      found = {turn(found.right), turn(found.left), found.middle};
    }
    found.right.column.array() /= norms.array();
    write(found, to);
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("bits", self.bits, "signs for each weight", between(0.01, 16));
    v("iterations", self.iterations, "of the alternating direction method", at_least(1));
  }

 private:
  /// sqrt H_jj; a little where there is no input.
  [[nodiscard]] static Eigen::VectorXd input_norms(const CalibratedLayer& layer) {
    const View<const double> h = layer.inputs.hessian();
    const Eigen::VectorXd diagonal = h.matrix().diagonal();
    return diagonal.cwiseSqrt().array() + 1e-8;
  }
  template <class T>
  static void write(const FactoredSigns& from, BinaryFactors::Matrix<T, Cpu>& to) {
    const auto signs = [](const FactoredSigns::Matrix& sign, PackedMatrix<T, Cpu>& matrix) {
      Tensor<T> values(Shape{sign.rows(), sign.cols()});
      values.view().matrix() = sign.cast<T>();
      matrix.set_signs(read(values.view()));
    };
    signs(from.left.sign, to.left.signs.weight), signs(from.right.sign, to.right.signs.weight);
    const auto numbers = [](const Eigen::VectorXd& values, Tensor<T>& tensor) {
      tensor.view().flat() = values.array().cast<T>();
    };
    numbers(from.left.row, to.left.signs.weight.scale);
    numbers(from.left.column.cwiseProduct(from.middle).cwiseProduct(from.right.row), to.right.signs.weight.scale);
    numbers(from.right.column, to.right.signs.weight.input_scale);
  }
};
static_assert(PostTrainingMethod<DoubleBinary>);

}  // namespace binllm
