// SPDX-License-Identifier: MIT
/// Proposals of the next tokens by looking into the text itself (prompt look-up: Saxena 2023; in transformers
/// `prompt_lookup_num_tokens`): texts that quote, summarise or edit repeat what stands before.
#pragma once
#include <binllm/core/shape.hpp>

#include <algorithm>
#include <cstdint>
#include <span>

namespace binllm {

/// What followed the last earlier place where the text read as its end does now: its last three tokens, else two, else
/// one. `most` tokens at most; none where there is no such place.
/// Cost: one pass over the text for each length.
[[nodiscard]] inline std::span<const std::int32_t> look_up(std::span<const std::int32_t> text, Index most) {
  if (most <= 0) return {};
  for (Index length = std::min<Index>(3, std::ssize(text) - 1); length > 0; --length) {
    const auto end = text.end() - length;  // where the end that is looked for begins
    const auto found = std::find_end(text.begin(), text.end() - 1, end, text.end());
    if (found == text.end() - 1) continue;
    const Index after = found - text.begin() + length;
    return text.subspan(static_cast<std::size_t>(after),
                        static_cast<std::size_t>(std::min<Index>(most, std::ssize(text) - after)));
  }
  return {};
}

}  // namespace binllm
