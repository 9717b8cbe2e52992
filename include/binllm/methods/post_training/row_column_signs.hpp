// SPDX-License-Identifier: MIT
/// ARB-RC (Li et al., arXiv 2410.03129): no mean, but a scale for each row and one for each column of a group,
///
///     W_ij ~ r_i c_j s_ij  (+ q_i d_j t_ij in order 2)
///
/// Rows and columns in turn, each the best one for the others; exact where |W| is of rank 1.
#pragma once
#include <binllm/methods/post_training/sign_groups.hpp>

#include <utility>
#include <vector>

namespace binllm {

/// One plane of some columns: r_i c_j s_ij, s zero outside its group.
struct RowColumnPlane {
  BlockRows sign;
  Eigen::ArrayXd row, column;

  [[nodiscard]] BlockRows value() const { return (sign.colwise() * row).rowwise() * column.transpose(); }

  /// r_i the mean of |x|, c_j that of |x_ij| / r_i, s = sgn x; of the weights whose `mask` is 1.
  [[nodiscard]] static RowColumnPlane start(const BlockRows& x, const BlockRows& mask) {
    RowColumnPlane plane;
    plane.sign = mask * ((x >= 0).cast<double>() * 2 - 1);
    plane.row = quotients((x.abs() * mask).rowwise().sum(), mask.rowwise().sum());
    const Eigen::ArrayXd counts = (plane.row > 0).cast<double>();  // a row of zeros says nothing of columns
    const Eigen::ArrayXd inverse = quotients(counts, plane.row);
    plane.column = quotients(((x.abs() * mask).colwise() * inverse).colwise().sum().transpose(),
                             (mask.colwise() * counts).colwise().sum().transpose());
    return plane;
  }
  /// r = sum_j c s x / sum_j c^2, and then c alike.
  void improve(const BlockRows& x) {
    const Eigen::MatrixXd products = (sign * x).matrix();
    const Eigen::MatrixXd mask = sign.square().matrix();
    row = quotients((products * column.matrix()).array(), (mask * column.square().matrix()).array());
    column =
        quotients((products.transpose() * row.matrix()).array(), (mask.transpose() * row.square().matrix()).array());
  }

 private:
  /// a / b; 0 where b is.
  [[nodiscard]] static Eigen::ArrayXd quotients(const Eigen::ArrayXd& a, const Eigen::ArrayXd& b) {
    return (b > 0).select(a / b, 0.0);
  }
};

struct RowColumnSigns {
  Index rounds = 15;

  /// The planes of the weights whose mask is 1.
  [[nodiscard]] std::vector<RowColumnPlane> fit(const BlockRows& x, const BlockRows& mask, int order) const {
    std::vector<RowColumnPlane> planes;
    planes.push_back(RowColumnPlane::start(x, mask));
    if (order == 2) planes.push_back(RowColumnPlane::start(x - planes[0].value(), mask));
    for (Index round = 0; round < rounds; ++round) {
      for (std::size_t k = 0; k < planes.size(); ++k)
        planes[k].improve(order == 2 ? BlockRows(x - planes[1 - k].value()) : x);
      if (order == 2) choose_signs(x, mask, planes[0], planes[1]);
    }
    return planes;
  }

  [[nodiscard]] PlanesBlock operator()(const BlockRows& w, const BlockGroups& groups) const {
    PlanesBlock planes(w.rows(), w.cols());
    planes.group = groups;
    for (Index g = 0; g < PlanesBlock::most_groups; ++g) {
      std::vector<Index> columns;
      for (Index j = 0; j < w.cols(); ++j) {
        if (planes.salient(j) == (g >= 2)) columns.push_back(j);
      }
      const auto n = static_cast<Index>(columns.size());
      BlockRows x(w.rows(), n), mask(w.rows(), n);
      for (Index k = 0; k < n; ++k) {
        x.col(k) = w.col(columns[static_cast<std::size_t>(k)]);
        mask.col(k) = (groups.col(columns[static_cast<std::size_t>(k)]) == static_cast<std::uint8_t>(g)).cast<double>();
      }
      if (n == 0 || mask.isZero()) continue;
      write(g, columns, fit(x, mask, g < 2 ? 1 : 2), planes);
    }
    return planes;
  }

 private:
  static void choose_signs(const BlockRows& x, const BlockRows& mask, RowColumnPlane& one, RowColumnPlane& other) {
    parallel_for(x.rows(), [&](Index i) {
      for (Index j = 0; j < x.cols(); ++j) {
        if (mask(i, j) == 0) continue;
        NearestSigns{}(x(i, j), one.row[i] * one.column[j], other.row[i] * other.column[j], one.sign(i, j),
                       other.sign(i, j));
      }
    });
  }
  static void write(Index g, const std::vector<Index>& columns, const std::vector<RowColumnPlane>& found,
                    PlanesBlock& to) {
    to.scale.col(g) = found[0].row;
    if (found.size() == 2) to.residual_scale.col(g) = found[1].row;
    for (std::size_t k = 0; k < columns.size(); ++k) {
      const Index j = columns[k], from = static_cast<Index>(k);
      to.column_scale(j, g % 2) = found[0].column[from];
      if (found.size() == 2) to.residual_column_scale(j, g % 2) = found[1].column[from];
      for (Index i = 0; i < to.rows(); ++i) {
        if (to.group(i, j) != g) continue;
        to.sign(i, j) = found[0].sign(i, from);
        if (found.size() == 2) to.residual_sign(i, j) = found[1].sign(i, from);
      }
    }
  }
};

}  // namespace binllm
