// SPDX-License-Identifier: MIT
/// The lines of a text that is in memory.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string_view>

namespace binllm {

/// Calls f(line, number), numbers from 1, lines without their line break, until it returns false.
template <class F>
void for_each_line(std::string_view text, const F& f) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (!f(text.substr(0, end), number)) return;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace binllm
