// SPDX-License-Identifier: MIT
/// The built-in corpus: small English stories from a grammar, so that training can be tried with nothing to download.
/// People, things, places and causes of a story come back in its later sentences, pronouns agree with names, and the
/// ending depends on the beginning: what a model with a short memory cannot learn.
#pragma once
#include <binllm/data/stories/tell.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace binllm {

/// Stories for training, or stories with plots that no training story has.
enum class Split : std::uint8_t { train, held_out };

/// One story, a paragraph of ASCII without a line end, 350 to 900 bytes: a pure function of (seed, index).
[[nodiscard]] inline std::string story(std::uint64_t seed, std::uint64_t index) {
  return stories::Draft(seed, index).tell();
}

/// The split that a story belongs to, whatever its seed: a hash of its plot (who, what, where, why), but not of its
/// wording, so that no story of one split, reworded or not, is in the other. One plot in eight is held out.
[[nodiscard]] inline Split split_of_story(std::uint64_t seed, std::uint64_t index) {
  return (stories::Draft(seed, index).key() >> 32) % 8 == 0 ? Split::held_out : Split::train;
}

/// Whole stories of one split with a blank line after each, at least `bytes` bytes of them.
[[nodiscard]] inline std::string stories_of(Split split, std::uint64_t seed, std::size_t bytes) {
  std::string text;
  for (std::uint64_t index = 0; text.size() < bytes; ++index) {
    if (split_of_story(seed, index) == split) text += story(seed, index) + "\n\n";
  }
  return text;
}

}  // namespace binllm
