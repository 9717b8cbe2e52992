// SPDX-License-Identifier: MIT
/// The fits of ARB-LLM (Li et al., arXiv 2410.03129): start from ResidualSigns, and then improve mean, scales and signs
/// in turn, each the best one for the others.
#pragma once
#include <binllm/core/view.hpp>
#include <binllm/methods/post_training/sign_row.hpp>

#include <array>
#include <cstddef>

namespace binllm {

/// ARB, of the error |x - value|^2, which no round increases:
///   mean += mean(x - value),   scale = <s, x - mean - ...> / n,   s = sgn(x - mean), or (s, t) the nearest of four levels
struct AlternatingSigns {
  Index rounds = 15;

  [[nodiscard]] SignFit operator()(RowPart part) const {
    SignFit fit = ResidualSigns{}(part);
    for (Index round = 0; round < rounds; ++round) improve(part, fit);
    return fit;
  }
  static void improve(RowPart& part, SignFit& fit) {
    const auto& x = part.x;
    fit.mean += (x - fit.value(part)).mean();
    fit.scale = (part.s * (x - fit.mean - fit.residual_scale * part.t)).mean();
    if (part.order == 1) return write_signs(x - fit.mean, part.s);
    fit.residual_scale = (part.t * (x - fit.mean - fit.scale * part.s)).mean();
    for (Index j = 0; j < x.size(); ++j)
      NearestSigns{}(x[j] - fit.mean, fit.scale, fit.residual_scale, part.s[j], part.t[j]);
  }
};

/// ARB-X: then mean and scales once more, of the error (x - value)^T S (x - value) with S the Hessian of the part's
/// columns. The signs stay. Five sums of a part's columns hold all of S that is needed:
///   mean = 1^T S (x - scale s - ...) / 1^T S 1,     scale = s^T S (x - mean - ...) / s^T S s
struct CalibratedSigns {
  AlternatingSigns start{};
  View<const double> inputs;  ///< S of the block, (columns, columns)
  Index rounds = 15;

  [[nodiscard]] SignFit operator()(RowPart part) const {
    SignFit fit = start(part);
    const Products p = products(part);
    for (Index round = 0; round < rounds; ++round) {
      fit.mean = p.best(0, p.with_x[0] - fit.scale * p.of[0][1] - fit.residual_scale * p.of[0][2], fit.mean);
      fit.scale = p.best(1, p.with_x[1] - fit.mean * p.of[1][0] - fit.residual_scale * p.of[1][2], fit.scale);
      if (part.order == 2)
        fit.residual_scale =
            p.best(2, p.with_x[2] - fit.mean * p.of[2][0] - fit.scale * p.of[2][1], fit.residual_scale);
    }
    return fit;
  }

 private:
  /// a^T S b for a, b of 1, s, t; and a^T S x.
  struct Products {
    std::array<std::array<double, 3>, 3> of{};
    std::array<double, 3> with_x{};
    double largest = 0;  ///< none of a^T S a is above
    /// `otherwise` where the inputs of these columns are nothing.
    [[nodiscard]] double best(std::size_t a, double numerator, double otherwise) const {
      return of[a][a] > 1e-12 * largest ? numerator / of[a][a] : otherwise;
    }
  };
  [[nodiscard]] Products products(const RowPart& part) const {
    Products p;
    const Index n = part.x.size();
    for (Index k = 0; k < n; ++k) {
      const double* const row = inputs.data + part.columns[static_cast<std::size_t>(k)] * inputs.cols();
      double one = 0, s = 0, t = 0;
      for (Index j = 0; j < n; ++j) {
        const double entry = row[part.columns[static_cast<std::size_t>(j)]];
        one += entry, s += entry * part.s[j], t += entry * part.t[j];
      }
      const std::array<double, 3> left{1, part.s[k], part.t[k]}, right{one, s, t};
      for (std::size_t a = 0; a < 3; ++a) {
        for (std::size_t b = 0; b < 3; ++b) p.of[a][b] += left[a] * right[b];
        p.with_x[a] += right[a] * part.x[k];
      }
      p.largest += static_cast<double>(n) * row[part.columns[static_cast<std::size_t>(k)]];
    }
    return p;
  }
};

}  // namespace binllm
