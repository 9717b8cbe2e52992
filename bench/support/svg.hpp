// SPDX-License-Identifier: MIT
/// A picture with two logarithmic axes.
#pragma once
#include <fmt/core.h>

#include <cmath>
#include <string>
#include <string_view>

namespace binllm::bench {

struct LogAxis {
  double low, high;  ///< of the numbers shown
  double from, to;   ///< of the picture
  [[nodiscard]] double operator()(double value) const {
    return from + (std::log(value) - std::log(low)) / (std::log(high) - std::log(low)) * (to - from);
  }
};

class LogPicture {
 public:
  static constexpr int width = 760, height = 460;
  LogPicture(double left, double right, double bottom, double top)
      : x_{left, right, 70, width - 20}, y_{bottom, top, height - 50, 20} {
    text_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" "
        "font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
        width, height);
  }
  /// A line across the picture, and what it says.
  void grid_x(double value, std::string_view label) {
    line(value, y_.low, value, y_.high, "#ddd", 1);
    write(x_(value), height - 32, "middle", label);
  }
  void grid_y(double value, std::string_view label) {
    line(x_.low, value, x_.high, value, "#ddd", 1);
    write(62, y_(value) + 4, "end", label);
  }
  void titles(std::string_view across, std::string_view up) {
    write((x_.from + x_.to) / 2, height - 12, "middle", across);
    text_ += fmt::format(
        "<text x=\"16\" y=\"{0:.0f}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {0:.0f})\">{1}</text>\n",
        (y_.from + y_.to) / 2, up);
  }
  void line(double x0, double y0, double x1, double y1, std::string_view colour, double thickness) {
    text_ += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x_(x0),
        y_(y0), x_(x1), y_(y1), colour, thickness);
  }
  void point(double x, double y, std::string_view colour) {
    text_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x_(x), y_(y), colour);
  }
  void note(double x, double y, std::string_view anchor, std::string_view colour, std::string_view words) {
    text_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n", x_(x), y_(y) - 7,
                         anchor, colour, words);
  }
  [[nodiscard]] std::string finish() const { return text_ + "</svg>\n"; }

 private:
  void write(double x, double y, std::string_view anchor, std::string_view words) {
    text_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, words);
  }

  LogAxis x_, y_;
  std::string text_;
};

}  // namespace binllm::bench
