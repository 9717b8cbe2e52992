// SPDX-License-Identifier: MIT
/// Did you mean ...? The word of a list that a misspelt one was meant to be.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// The least number of characters that must be put in, left out, replaced, or swapped with a neighbour, to make one word
/// the other (optimal string alignment; R. A. Wagner and M. J. Fischer 1974, with swaps after F. J. Damerau 1964).
[[nodiscard]] inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

/// The first of the words that is nearest to `word`: at most one character in four away, or longer by its end alone.
/// Empty where none is near.
template <class Words>
[[nodiscard]] std::string nearest_word(std::string_view word, const Words& words) {
  constexpr std::size_t enough_to_begin_with = 4;
  std::string nearest;
  std::size_t least = word.size() / 4 + 1;
  for (const std::string_view candidate : words) {
    const bool begins = word.size() >= enough_to_begin_with && candidate.starts_with(word);
    const std::size_t distance =
        begins ? std::min<std::size_t>(1, candidate.size() - word.size()) : edit_distance(word, candidate);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace binllm
