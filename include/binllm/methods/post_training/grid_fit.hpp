// SPDX-License-Identifier: MIT
/// The grids that whole rows or groups of weights are rounded to, by bits a weight:
///   1      mu + S sgn(w - mu),   S = mean |w - mu|;   mu = 0, or the mean where it is centred
///   1.58   S clamp(round(w / S), -1, 1),   S = mean |w|
///   b      s (clamp(round(w / s) + z, 0, 2^b - 1) - z),   s = (max - min) / (2^b - 1),   z = round(-min / s),
///          where 0 counts as a weight, so that it stands on the grid
#pragma once
#include <binllm/methods/forms/grid.hpp>

#include <algorithm>
#include <cmath>
#include <span>

namespace binllm {

/// Which grid, and how many weights share one.
struct GridOptions {
  double bits = 4;
  Index group = 0;
  bool centred = false;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("bits", self.bits, "a weight: 1, 1.58, 2, 3, 4 or 8", between(1, 8));
    v("group", self.group, "weights of a row that share a scale; 0: the whole row", at_least(0));
    v("centred", self.centred, "1 bit: around the mean of the row or group", any);
  }
  /// Errors: option_out_of_range.
  [[nodiscard]] int levels() const {
    if (bits == 1.58) return 3;
    for (const int whole : {1, 2, 3, 4, 8}) {
      if (bits == whole) return 1 << whole;
    }
    throw Error(ErrorId::option_out_of_range, "GridOptions", "bits", "1, 1.58, 2, 3, 4 or 8", fmt::format("{}", bits));
  }
  [[nodiscard]] Grid form() const { return {levels(), group, centred && levels() == 2}; }
};

/// The grid of one row or group, with the scale in the precision that is stored.
struct GridLine {
  int levels = 2;
  float scale = 0, zero = 0, mean = 0;

  [[nodiscard]] int code(double w) const {
    if (levels == 2) return w >= static_cast<double>(mean) ? 1 : 0;
    if (scale == 0) return static_cast<int>(zero);
    const double nearest = std::nearbyint(w / static_cast<double>(scale)) + static_cast<double>(zero);
    return static_cast<int>(std::clamp(nearest, 0.0, static_cast<double>(levels - 1)));
  }
  [[nodiscard]] double value(int code) const {
    return static_cast<double>(scale) * (code - static_cast<double>(zero)) + static_cast<double>(mean);
  }
  [[nodiscard]] double nearest(double w) const { return value(code(w)); }

  /// The grid of these weights. `range` shrinks the largest and smallest of them (more than three levels).
  template <class T>
  [[nodiscard]] static GridLine fit(const Grid& form, std::span<const T> w, double range = 1) {
    GridLine line{form.levels, 0, static_cast<float>(form.levels - 1) / 2, 0};
    double low = 0, high = 0, sum = 0, mean = 0;
    const auto count = static_cast<double>(w.size());
    if (form.levels == 2 && form.means) {
      for (const T x : w) mean += static_cast<double>(x);
      mean /= count;
    }
    for (const T x : w) {
      low = std::min(low, static_cast<double>(x));
      high = std::max(high, static_cast<double>(x));
      sum += std::abs(static_cast<double>(x) - mean);
    }
    line.mean = static_cast<float>(mean);
    if (form.levels <= 3) {
      line.scale = static_cast<float>(sum / count) * (form.levels == 2 ? 2.0F : 1.0F);
      return line;
    }
    low *= range, high *= range;
    if (low == 0 && high == 0) low = -1, high = 1;
    const double step = (high - low) / (form.levels - 1);
    line.scale = static_cast<float>(step);
    line.zero = static_cast<float>(std::clamp(std::nearbyint(-low / step), 0.0, form.levels - 1.0));
    return line;
  }
  void write(Grid::Matrix<float, Cpu>& to, Index row, Index g) const { to.set_line(row, g, {scale, zero, mean}); }
};

}  // namespace binllm
