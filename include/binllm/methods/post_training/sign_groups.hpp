// SPDX-License-Identifier: MIT
/// Which weights of a block share a mean and scales. BiLLM's search (arXiv 2402.04291, section 3), which ARB-LLM shares:
/// first the columns that get two planes of signs, then in each part a threshold between small and large weights.
#pragma once
#include <binllm/device/cpu.hpp>
#include <binllm/methods/forms/planes.hpp>
#include <binllm/methods/post_training/sign_row.hpp>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace binllm {

using BlockRows = PlanesBlock::Rows<double>;
using BlockGroups = PlanesBlock::Rows<std::uint8_t>;

namespace detail {

/// What is left of x when [0, cut) and [cut, n) are binarised each by itself. `memory` holds 2 n.
inline void binarise_two_parts(ReadNumbers x, Index cut, int order, double* memory, WriteNumbers left) {
  for (const auto& [first, count] : {std::pair{Index{0}, cut}, std::pair{cut, x.size() - cut}}) {
    if (count == 0) continue;
    const RowPart part{{x.data() + first, count}, order, {memory, count}, {memory + x.size(), count}};
    left.segment(first, count) = part.x - ResidualSigns{}(part).value(part);
  }
}

/// 0.10, 0.11, ..., 0.90 of the numbers' quantiles, linear between two of them; zeros where there is none.
[[nodiscard]] inline Eigen::ArrayXd thresholds_of(std::vector<double> values) {
  constexpr Index count = 81;
  Eigen::ArrayXd thresholds = Eigen::ArrayXd::Zero(count);
  if (values.empty()) return thresholds;
  std::sort(values.begin(), values.end());
  for (Index k = 0; k < count; ++k) {
    const double share = k == count - 1 ? 0.9 : 0.1 + static_cast<double>(k) * 0.01;
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const double low = values[below], high = values[std::min(below + 1, values.size() - 1)];
    const double beyond = place - static_cast<double>(below);
    thresholds[k] = beyond < 0.5 ? low + (high - low) * beyond : high - (high - low) * (1 - beyond);
  }
  return thresholds;
}

/// The place of the least number, the first of them.
[[nodiscard]] inline Index place_of_least(const Eigen::ArrayXd& numbers) {
  Index place = 0;
  numbers.minCoeff(&place);
  return place;
}

}  // namespace detail

/// Of the columns with the largest sums of scores the best number, 1 to 49, of those that get planes of their own: with
/// order 2 on both sides. The more salient one first, and then the others.
struct SalientColumns {
  std::vector<Index> salient, rest;

  static constexpr Index most = 49;

  [[nodiscard]] static SalientColumns of(const BlockRows& score) {
    const Index rows = score.rows(), cols = score.cols(), choices = std::min(most, cols - 1);
    const Eigen::ArrayXd sums = score.abs().colwise().sum();
    std::vector<Index> order(static_cast<std::size_t>(cols));
    std::iota(order.begin(), order.end(), Index{0});
    std::sort(order.begin(), order.end(),
              [&](Index a, Index b) { return sums[a] > sums[b] || (sums[a] == sums[b] && a < b); });
    if (choices < 1) return {{}, order};
    BlockRows errors(rows, choices);
    parallel_for(rows, static_cast<std::size_t>(4 * cols) * sizeof(double), [&](Index i, std::byte* memory) {
      double* const x = reinterpret_cast<double*>(memory);
      const WriteNumbers left(x + cols, cols);
      for (Index j = 0; j < cols; ++j) x[j] = score(i, order[static_cast<std::size_t>(j)]);
      for (Index k = 0; k < choices; ++k) {
        detail::binarise_two_parts({x, cols}, k + 1, 2, x + 2 * cols, left);
        errors(i, k) = left.square().sum();
      }
    });
    const auto cut = order.begin() + 1 + detail::place_of_least(errors.colwise().sum().transpose());
    return {{order.begin(), cut}, {cut, order.end()}};
  }
};

/// The threshold of |score| that splits the weights of some columns best into two groups, each binarised by itself: with
/// the least sum of squares r^T S r of what is left of the rows. `left` is what is left of the other columns; S may be
/// empty, for the identity.
struct ThresholdSearch {
  const BlockRows& score;
  const BlockRows& left;
  View<const double> inputs;  ///< S, (columns, columns)

  [[nodiscard]] double best(const std::vector<Index>& columns, int order, const Eigen::ArrayXd& thresholds) const {
    const Index cols = score.cols(), count = thresholds.size();
    BlockRows errors(score.rows(), count);
    const auto doubles = static_cast<std::size_t>(6 * cols + 2 * count * cols) * sizeof(double);
    parallel_for(score.rows(), doubles + cpu::gemm_bytes<double>(count, cols, cols), [&](Index i, std::byte* memory) {
      double* const numbers = reinterpret_cast<double*>(memory);
      Eigen::Map<BlockRows> rest(numbers + 6 * cols, count, cols), weighted(rest.data() + count * cols, count, cols);
      fill(i, columns, order, thresholds, numbers, rest);
      if (!inputs) {
        errors.row(i) = rest.square().rowwise().sum();
        return;
      }
      cpu::gemm_serial<double>(count, cols, cols, 1.0, {rest.data(), cols, false}, {inputs.data, cols, false}, false,
                               weighted.data(), cols, memory + doubles);
      errors.row(i) = (rest * weighted).rowwise().sum();
    });
    return thresholds[detail::place_of_least(errors.colwise().sum().transpose())];
  }

 private:
  /// What is left of row i, for each threshold. Sorted by |score|, the small weights are the first ones.
  void fill(Index i, const std::vector<Index>& columns, int order, const Eigen::ArrayXd& thresholds, double* memory,
            Eigen::Map<BlockRows>& rest) const {
    const auto n = static_cast<Index>(columns.size());
    const WriteNumbers x(memory, n), part(memory + n, n);
    Index* const sorted = reinterpret_cast<Index*>(memory + 4 * score.cols());
    std::copy(columns.begin(), columns.end(), sorted);
    std::sort(sorted, sorted + n, [&](Index a, Index b) { return std::abs(score(i, a)) < std::abs(score(i, b)); });
    for (Index j = 0; j < n; ++j) memory[j] = score(i, sorted[j]);
    Index cut = -1;
    for (Index k = 0; k < thresholds.size(); ++k) {
      const auto is_small = [&](double value) { return std::abs(value) < thresholds[k]; };
      const Index next = std::partition_point(memory, memory + n, is_small) - memory;
      if (next == cut) {
        rest.row(k) = rest.row(k - 1);
        continue;
      }
      cut = next;
      rest.row(k) = left.row(i);
      detail::binarise_two_parts({memory, n}, cut, order, memory + 2 * n, part);
      for (Index j = 0; j < n; ++j) rest(k, sorted[j]) = part[j];
    }
  }
};

/// Adds one to the groups of weights that are large.
inline void mark_large(const BlockRows& score, const std::vector<Index>& columns, double threshold,
                       BlockGroups& groups) {
  for (Index i = 0; i < score.rows(); ++i) {
    for (const Index j : columns)
      groups(i, j) = static_cast<std::uint8_t>(groups(i, j) + (std::abs(score(i, j)) >= threshold));
  }
}

}  // namespace binllm
