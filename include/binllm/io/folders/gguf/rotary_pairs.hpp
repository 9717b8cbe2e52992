// SPDX-License-Identifier: MIT
/// The order of the rows of W_q and W_k within a head of D rows. In families' folders rows j and j + D/2 turn together;
/// in GGUF files of some architectures they are neighbours:
///   row 2j + s  of GGUF  =  row j + s D/2  of the family,   s = 0, 1
#pragma once
#include <binllm/core/shape.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace binllm::detail {

/// Calls move(from, to) with the row of the family and that of GGUF, of each row of a head.
template <class F>
void for_each_rotary_row(std::size_t rows, F move) {
  for (std::size_t j = 0; j < rows / 2; ++j) {
    for (std::size_t s = 0; s < 2; ++s) move(j + s * (rows / 2), 2 * j + s);
  }
}

/// Reorders all rows of `heads` heads, in place; `into_gguf` or back.
template <class T>
void reorder_rotary_rows(std::span<T> numbers, Index heads, Index head_dim, bool into_gguf) {
  const auto rows = static_cast<std::size_t>(head_dim);
  const std::size_t width = numbers.size() / static_cast<std::size_t>(heads) / rows;
  std::vector<T> head(rows * width);
  for (; !numbers.empty(); numbers = numbers.subspan(head.size())) {
    std::copy_n(numbers.begin(), head.size(), head.begin());
    for_each_rotary_row(rows, [&](std::size_t of_family, std::size_t of_gguf) {
      const std::size_t from = into_gguf ? of_family : of_gguf, to = into_gguf ? of_gguf : of_family;
      std::copy_n(head.data() + from * width, width, numbers.data() + to * width);
    });
  }
}

}  // namespace binllm::detail
