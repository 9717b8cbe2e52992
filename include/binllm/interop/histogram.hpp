// SPDX-License-Identifier: MIT
/// Histograms and quantiles of values on the host, by xtensor. Link binllm::xtensor.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/interop/xtensor.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>
#include <xtensor/xhistogram.hpp>
#include <xtensor/xsort.hpp>

namespace binllm {

/// How many values lie in each of the equal bins of [low, high].
struct Histogram {
  double low = 0, high = 0;
  std::vector<Index> counts;
};

/// Bin i counts low + i w <= x < low + (i + 1) w with w = (high - low) / bins; the last one x = high, too. Values
/// outside, and NaN, are in no bin. Errors: option_out_of_range for less than one bin, and unless low < high, both
/// finite.
template <class T>
[[nodiscard]] Histogram histogram(View<const T> values, Index bins, double low, double high) {
  if (bins < 1 || !(low < high) || std::isinf(low) || std::isinf(high)) {
    throw Error(ErrorId::option_out_of_range, "histogram", "bins, low, high", "a bin or more, low < high, both finite",
                fmt::format("{}, {}, {}", bins, low, high));
  }
  Histogram result{low, high, std::vector<Index>(static_cast<std::size_t>(bins))};
  if (values.size() == 0) return result;
  const xt::xtensor<double, 1> all = xt::cast<double>(as_xtensor<1>(values.reshaped(Shape{values.size()})));
  const xt::xtensor<double, 1> counts = xt::histogram(all, static_cast<std::size_t>(bins), low, high);
  for (std::size_t i = 0; i < result.counts.size(); ++i) result.counts[i] = static_cast<Index>(std::llround(counts(i)));
  return result;
}

/// For each share p in [0, 1] the value that this share of all values does not exceed: of the sorted values the one at
/// p (n - 1), linear between two (NumPy's default). Errors: empty_tensor; option_out_of_range for another share;
/// value_not_finite for NaN among the values.
template <class T>
[[nodiscard]] std::vector<double> quantiles(View<const T> values, std::span<const double> shares) {
  if (values.size() == 0) throw Error(ErrorId::empty_tensor, "quantiles", "values", "a value or more", "none");
  if (values.flat().isNaN().any()) throw Error(ErrorId::value_not_finite, "quantiles", "values", "numbers", "NaN");
  const xt::xtensor<T, 1> sorted = xt::sort(as_xtensor<1>(values.reshaped(Shape{values.size()})));
  std::vector<double> found;
  for (const double share : shares) {
    if (!(share >= 0 && share <= 1))
      throw Error(ErrorId::option_out_of_range, "quantiles", "shares", "0 to 1", fmt::format("{}", share));
    const double place = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const auto low = static_cast<double>(sorted(below)), high = static_cast<double>(sorted(above));
    found.push_back(low + (place - static_cast<double>(below)) * (high - low));
  }
  return found;
}

}  // namespace binllm
