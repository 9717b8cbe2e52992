// SPDX-License-Identifier: MIT
/// Weights of one row as signs,   x ~ mean + scale s + residual_scale t,   s, t = +-1.   The second plane t is that of
/// order 2; in order 1 its scale is zero.
#pragma once
#include <binllm/core/shape.hpp>

#include <Eigen/Core>
#include <array>
#include <cmath>
#include <limits>
#include <span>

namespace binllm {

using ReadNumbers = Eigen::Map<const Eigen::ArrayXd>;
using WriteNumbers = Eigen::Map<Eigen::ArrayXd>;

/// At least one weight, the columns that they stand in, and where their signs go.
struct RowPart {
  ReadNumbers x;
  int order;
  WriteNumbers s, t;
  std::span<const Index> columns{};
};

struct SignFit {
  double mean = 0, scale = 0, residual_scale = 0;

  /// What stands for the weights whose signs these are.
  [[nodiscard]] auto value(const RowPart& part) const {
    return mean + scale * ReadNumbers(part.s.data(), part.s.size()) +
           residual_scale * ReadNumbers(part.t.data(), part.t.size());
  }
};

/// +1 where x >= 0, else -1.
template <class X>
void write_signs(const Eigen::ArrayBase<X>& x, WriteNumbers s) {
  s = (x >= 0).template cast<double>() * 2 - 1;
}

/// scale sgn(x - mean) + mean, where mean is the mean of x and scale that of |x - mean|. Order 2 does the same with what
/// is left, and adds (BiLLM, arXiv 2402.04291, Eq. 4 to 8).
struct ResidualSigns {
  [[nodiscard]] SignFit operator()(RowPart part) const {
    const auto& x = part.x;
    SignFit fit;
    fit.mean = x.mean();
    fit.scale = (x - fit.mean).abs().mean();
    write_signs(x - fit.mean, part.s);
    part.t.setZero();
    if (part.order == 1) return fit;
    fit.mean += (x - fit.value(part)).mean();
    fit.residual_scale = (x - fit.value(part)).abs().mean();
    write_signs(x - fit.value(part), part.t);
    return fit;
  }
};

/// The pair of signs with s a + t b nearest to x: one of four levels.
struct NearestSigns {
  static constexpr std::array<std::array<double, 2>, 4> pairs{{{-1, -1}, {-1, 1}, {1, -1}, {1, 1}}};
  void operator()(double x, double a, double b, double& s, double& t) const {
    double least = std::numeric_limits<double>::infinity();
    for (const auto& pair : pairs) {
      const double distance = std::abs(x - pair[0] * a - pair[1] * b);
      if (distance >= least) continue;
      least = distance, s = pair[0], t = pair[1];
    }
  }
};

}  // namespace binllm
