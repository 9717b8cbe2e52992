// SPDX-License-Identifier: MIT
/// The layer of tests/golden/methods/calibrated_layer.py, and what its scripts wrote.
#pragma once
#include "support/golden_values.hpp"

#include <binllm/methods/post_training/calibrated_layer.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace binllm::test {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// numbers(NAME, rows, cols) of the script.
inline RowMatrix hash_numbers(const std::string& name, Index rows, Index cols) {
  const std::vector<float> halves = golden_values(name, {rows, cols});
  return 2 * Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(halves.data(),
                                                                                                     rows, cols)
                 .cast<double>();
}

/// A layer and its Hessian. It lies on the heap, because a CalibratedLayer points into it.
class ExampleLayer {
 public:
  ExampleLayer() : ExampleLayer(weight_of_script(), hessian_of_script()) {}
  ExampleLayer(const RowMatrix& w, const RowMatrix& hessian)
      : weight_(Shape{w.rows(), w.cols()}), inputs_(tensor_of(hessian), 1, w.cols()), hessian_(hessian) {
    weight_.view().matrix() = w.cast<float>();
  }
  [[nodiscard]] CalibratedLayer layer() const { return {"layer", 0, Role::attention_in, weight_.view(), inputs_}; }
  [[nodiscard]] RowMatrix weight() const { return weight_.view().matrix().cast<double>(); }
  [[nodiscard]] const RowMatrix& hessian() const { return hessian_; }
  [[nodiscard]] LinearShape shape() const { return {.out = weight_.shape()[0], .in = weight_.shape()[1]}; }

  /// tr (W - Q) H (W - Q)^T
  [[nodiscard]] double error(const RowMatrix& q) const {
    const RowMatrix d = weight() - q;
    return (d * hessian_).cwiseProduct(d).sum();
  }
  /// What a method stores, in double, and restores.
  template <class Method>
  [[nodiscard]] RowMatrix quantised(const Method& method) const {
    typename Method::Form::template Matrix<double, Cpu> matrix(method.form(), shape());
    method(layer(), matrix);
    Tensor<double> w(weight_.shape());
    matrix.restore(w.view());
    return w.view().matrix();
  }

  [[nodiscard]] static RowMatrix weight_of_script() {
    const RowMatrix u = hash_numbers("weight", 8, 150);
    return u.array() * (0.25 + u.array().square());
  }
  [[nodiscard]] static RowMatrix hessian_of_script() {
    constexpr Index cols = 150, tokens = 240;
    const Eigen::ArrayXXd size = 0.25 + 2 * hash_numbers("size", 1, cols).array().abs().cube();
    RowMatrix x = (hash_numbers("inputs", tokens, cols).array().rowwise() * size.row(0)).matrix();
    x += 0.2 * hash_numbers("common", tokens, 1) * hash_numbers("mix", 1, cols);
    return 2.0 / tokens * x.transpose() * x;
  }

 private:
  [[nodiscard]] static Tensor<double> tensor_of(const RowMatrix& matrix) {
    Tensor<double> tensor(Shape{matrix.rows(), matrix.cols()});
    tensor.view().matrix() = matrix;
    return tensor;
  }
  Tensor<float> weight_;
  Calibration inputs_;
  RowMatrix hessian_;
};

/// The lines of tests/golden/methods/NAME.txt.
class GoldenValues {
 public:
  explicit GoldenValues(const std::string& name) : values_(golden_lines("methods/" + name + ".txt")) {}
  [[nodiscard]] const std::vector<double>& operator[](const std::string& key) const { return values_.at(key); }
  /// That the script's projections of this matrix are these, to 10^-6 of the largest.
  void check_matrix(const std::string& key, const RowMatrix& q) const {
    const RowMatrix projections = q * hash_numbers("probe", q.cols(), 3);
    const Eigen::Map<const Eigen::VectorXd> wanted((*this)[key].data(), static_cast<Index>((*this)[key].size()));
    REQUIRE(projections.size() == wanted.size());
    const Eigen::Map<const Eigen::VectorXd> found(projections.data(), projections.size());
    INFO(key);
    CHECK((found - wanted).cwiseAbs().maxCoeff() < 1e-6 * wanted.cwiseAbs().maxCoeff());
  }

 private:
  std::map<std::string, std::vector<double>> values_;
};

}  // namespace binllm::test
