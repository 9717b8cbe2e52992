// SPDX-License-Identifier: MIT
/// Curves for a terminal.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace program {

/// Points (x, y) in their order as a line of dots, eight in a character (Unicode's Braille patterns), with the largest
/// and the least y at the left and the x of the ends below: `height` lines and one more, each of `width` columns at
/// most. Points that are not finite are left out, and with `logarithmic` those that are not above 0. Empty without a
/// point.
[[nodiscard]] std::string text_plot(const std::vector<std::pair<double, double>>& points, int width, int height,
                                    bool logarithmic = false);

}  // namespace program
