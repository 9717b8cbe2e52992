// SPDX-License-Identifier: MIT
#include "text_plot.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace program {

namespace {

constexpr int label_width = 9, dots_across = 2, dots_down = 4;

/// The pattern of a character: bits of its dots, as Unicode numbers them.
constexpr unsigned dot_bits[dots_down][dots_across] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

/// U+2800 to U+28FF in UTF-8.
std::string braille(unsigned pattern) {
  return {static_cast<char>(0xe2), static_cast<char>(0xa0 | (pattern >> 6)),
          static_cast<char>(0x80 | (pattern & 0x3f))};
}

class Canvas {
 public:
  Canvas(int columns, int rows)
      : columns_(columns), rows_(rows), patterns_(static_cast<std::size_t>(columns * rows), 0U) {}
  void dot(int x, int y) {
    if (x < 0 || y < 0 || x >= columns_ * dots_across || y >= rows_ * dots_down) return;
    patterns_[static_cast<std::size_t>(y / dots_down * columns_ + x / dots_across)] |=
        dot_bits[y % dots_down][x % dots_across];
  }
  /// Every dot between two, both included.
  void line(int x0, int y0, int x1, int y1) {
    const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int i = 0; i <= steps; ++i)
      dot(x0 + static_cast<int>(std::lround(static_cast<double>((x1 - x0) * i) / steps)),
          y0 + static_cast<int>(std::lround(static_cast<double>((y1 - y0) * i) / steps)));
  }
  [[nodiscard]] std::string row(int index) const {
    std::string text;
    for (int column = 0; column < columns_; ++column)
      text += braille(patterns_[static_cast<std::size_t>(index * columns_ + column)]);
    return text;
  }

 private:
  int columns_, rows_;
  std::vector<unsigned> patterns_;
};

}  // namespace

std::string text_plot(const std::vector<std::pair<double, double>>& points, int width, int height, bool logarithmic) {
  std::vector<std::pair<double, double>> drawn;
  for (const auto& [x, y] : points) {
    const double value = logarithmic ? std::log10(y) : y;  // -inf and NaN are left out below
    if (std::isfinite(x) && std::isfinite(value)) drawn.emplace_back(x, value);
  }
  if (drawn.empty()) return {};
  const int columns = std::max(width - label_width - 1, 8), rows = std::max(height, 1);
  constexpr double far = std::numeric_limits<double>::infinity();
  double left = far, right = -far, low = far, high = -far;
  for (const auto& [x, y] : drawn) {
    left = std::min(left, x), right = std::max(right, x);
    low = std::min(low, y), high = std::max(high, y);
  }
  const auto place = [](double value, double from, double to, int dots) {
    return to > from ? static_cast<int>(std::lround((value - from) / (to - from) * (dots - 1))) : 0;
  };
  Canvas canvas(columns, rows);
  int last_x = 0, last_y = 0;
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const int x = place(drawn[i].first, left, right, columns * dots_across);
    const int y = place(-drawn[i].second, -high, -low, rows * dots_down);
    canvas.line(i == 0 ? x : last_x, i == 0 ? y : last_y, x, y);
    last_x = x, last_y = y;
  }
  const auto label = [&](double y) { return fmt::format("{:>9.4g} ", logarithmic ? std::pow(10.0, y) : y); };
  std::string text;
  for (int row = 0; row < rows; ++row) {
    text += row == 0 ? label(high) : row == rows - 1 ? label(low) : std::string(label_width + 1, ' ');
    text += canvas.row(row) + '\n';
  }
  const std::string first = fmt::format("{:g}", left), last = fmt::format("{:g}", right);
  const int between = columns - static_cast<int>(first.size() + last.size());
  text += std::string(label_width + 1, ' ') + first + std::string(static_cast<std::size_t>(std::max(between, 1)), ' ') +
          last + '\n';
  return text;
}

}  // namespace program
