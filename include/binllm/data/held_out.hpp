// SPDX-License-Identifier: MIT
/// A text cut in two: what is learnt from, and an end that is kept from it to judge by.
#pragma once
#include <binllm/data/token_stream.hpp>

#include <algorithm>
#include <optional>

namespace binllm {

struct HeldOut {
  TokenStream training;
  std::optional<TokenStream> validation;  ///< empty where the share is less than one window
};

/// Tokens [first, first + count) as a stream of its own, in an unlinked temporary file as long texts are.
/// Errors: index_out_of_range; write_failed (no room for the ids).
[[nodiscard]] inline TokenStream part_of(const TokenStream& stream, Index first, Index count,
                                         const Tokenizer& tokenizer) {
  const std::uint64_t bytes = stream.bytes_of(first, count);
  const auto ids = stream.tokens().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  TemporaryFile file;
  file.append(ids.data(), ids.size_bytes());
  MappedMemory memory = file.map();
  const std::span<const std::int32_t> mapped(reinterpret_cast<const std::int32_t*>(memory.bytes().data()), ids.size());
  return TokenStream::from_mapped(std::move(memory), mapped, tokenizer, bytes, fnv_extend(fnv_of_nothing, ids));
}

/// Keeps the last `share` of a stream's tokens from training, `most` at most. A share with less than one window of
/// `context` tokens and their targets is none, and training has the whole stream.
/// Errors: option_out_of_range unless 0 <= share <= 1/2; write_failed (no room for the ids).
[[nodiscard]] inline HeldOut hold_out(const TokenStream& stream, double share, Index context,
                                      const Tokenizer& tokenizer, Index most = Index{1} << 18) {
  if (!(share >= 0 && share <= 0.5))
    throw Error(ErrorId::option_out_of_range, "hold_out", "share", "0 to 0.5", fmt::format("{}", share));
  const Index kept = std::min(static_cast<Index>(share * static_cast<double>(stream.size())), most);
  if (kept < context + 1) return {stream, std::nullopt};
  const Index learnt = stream.size() - kept;
  return {part_of(stream, 0, learnt, tokenizer), part_of(stream, learnt, kept, tokenizer)};
}

}  // namespace binllm
