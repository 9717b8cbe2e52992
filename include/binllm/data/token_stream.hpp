// SPDX-License-Identifier: MIT
/// One long sequence of token ids: what training and evaluation read.
#pragma once
#include <binllm/core/fnv.hpp>
#include <binllm/core/mapped_memory.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// An immutable token sequence, cheap to copy; copies share one block. BOS stands at the start only, and only
/// where the tokenizer adds one (methods of evaluation that the literature shares tokenise a text once).
class TokenStream {
 public:
  /// Tokenises a text file of any size with bounded memory: the text is mapped, its ids go piece by piece to an
  /// unlinked temporary file ($TMPDIR, else /tmp; 4 bytes per token) that is mapped in turn.
  /// Errors: file_missing, file_unreadable, write_failed (no room for the ids).
  [[nodiscard]] static TokenStream from_text(const std::string& path, const Tokenizer& tokenizer) {
    return from_text(MappedMemory::of_file(path), tokenizer);
  }
  /// The same of a text that is mapped already.
  [[nodiscard]] static TokenStream from_text(const MappedMemory& text, const Tokenizer& tokenizer) {
    const std::string_view characters(reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size());
    TemporaryFile file;
    ReadOnce pages(text);
    auto block = std::make_shared<Block>();
    tokenise(characters, tokenizer, *block, [&](std::vector<std::int32_t>& ids, const char* position) {
      file.append(ids.data(), ids.size() * sizeof(std::int32_t));
      ids.clear();
      pages.passed(position);
    });
    block->mapped = file.map();
    const auto bytes = block->mapped.bytes();
    block->tokens = {reinterpret_cast<const std::int32_t*>(bytes.data()), bytes.size() / sizeof(std::int32_t)};
    return TokenStream(std::move(block));
  }

  /// Ids in mapped memory, made of so many bytes of text by this tokenizer (BOS included, where it adds one); `hash`
  /// is what `hash()` says.
  [[nodiscard]] static TokenStream from_mapped(MappedMemory memory, std::span<const std::int32_t> ids,
                                               const Tokenizer& tokenizer, std::uint64_t text_bytes,
                                               std::uint64_t hash) {
    auto block = std::make_shared<Block>();
    block->mapped = std::move(memory);
    block->tokens = ids;
    block->tokenizer = tokenizer;
    block->text_bytes = text_bytes;
    block->hash = hash;
    return TokenStream(std::move(block));
  }

  [[nodiscard]] static TokenStream from_string(std::string_view text, const Tokenizer& tokenizer) {
    auto block = std::make_shared<Block>();
    tokenise(text, tokenizer, *block, [&](std::vector<std::int32_t>& ids, const char*) {
      block->owned.insert(block->owned.end(), ids.begin(), ids.end());
      ids.clear();
    });
    block->tokens = block->owned;
    return TokenStream(std::move(block));
  }

  /// Streams of one tokenizer, one after the other: BOS opens the whole, not each of them. Its text are theirs, where
  /// that of each is known.
  [[nodiscard]] static TokenStream joined(const std::vector<TokenStream>& parts) {
    if (parts.size() == 1) return parts.front();
    auto block = std::make_shared<Block>();
    for (const TokenStream& part : parts) {
      const auto& tokenizer = part.block_->tokenizer;
      const auto bos = tokenizer && !block->owned.empty() ? tokenizer->bos() : std::nullopt;
      const std::size_t skipped = bos && !part.tokens().empty() && part.tokens().front() == *bos ? 1 : 0;
      block->owned.insert(block->owned.end(), part.tokens().begin() + static_cast<std::ptrdiff_t>(skipped),
                          part.tokens().end());
      block->text_bytes += part.text_bytes();
    }
    const bool known = std::all_of(parts.begin(), parts.end(),
                                   [](const TokenStream& part) { return part.block_->tokenizer.has_value(); });
    if (known && !parts.empty()) {
      block->tokenizer = parts.front().block_->tokenizer;
    } else {
      block->text_bytes = 0;
    }
    block->tokens = block->owned;
    block->hash = fnv_extend(block->hash, block->tokens);
    return TokenStream(std::move(block));
  }

  /// Ids that are already there. What text they stand for is unknown: `text_bytes()` and `bytes_of()` are 0.
  [[nodiscard]] static TokenStream from_tokens(std::vector<std::int32_t> ids) {
    auto block = std::make_shared<Block>();
    block->owned = std::move(ids);
    block->tokens = block->owned;
    block->hash = fnv_extend(block->hash, block->tokens);
    return TokenStream(std::move(block));
  }

  [[nodiscard]] std::span<const std::int32_t> tokens() const noexcept { return block_->tokens; }
  [[nodiscard]] Index size() const noexcept { return static_cast<Index>(block_->tokens.size()); }
  /// Bytes of the text.
  [[nodiscard]] std::uint64_t text_bytes() const noexcept { return block_->text_bytes; }
  /// FNV-1a of the ids as little-endian 32-bit words: the identity of the data in a run's configuration.
  [[nodiscard]] std::uint64_t hash() const noexcept { return block_->hash; }

  /// Bytes of text that tokens [first, first + count) stand for (a tokenizer's dummy prefix counts as one byte);
  /// 0 for a stream made from ids. Unknown tokens share what no other token of the stream stands for, each as much, so
  /// that all together have the bytes of the text. Errors: index_out_of_range.
  [[nodiscard]] std::uint64_t bytes_of(Index first, Index count) const {
    if (first < 0 || count < 0 || first > size() - count) {
      throw Error(ErrorId::index_out_of_range, "TokenStream::bytes_of", "first, count",
                  message("a range in [0, {})", size()), message("[{}, {})", first, first + count));
    }
    if (!block_->tokenizer) return 0;
    const auto part = tokens().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    const std::uint64_t known = block_->tokenizer->bytes_of(part);
    const auto unknown_id = block_->tokenizer->unknown();
    const auto unknown = unknown_id ? std::count(part.begin(), part.end(), *unknown_id) : 0;
    if (unknown == 0) return known;
    return known + static_cast<std::uint64_t>(std::llround(block_->unknown_share() * static_cast<double>(unknown)));
  }

 private:
  struct Block {
    std::vector<std::int32_t> owned;
    MappedMemory mapped;
    std::span<const std::int32_t> tokens;
    std::optional<Tokenizer> tokenizer;
    std::uint64_t text_bytes = 0;
    std::uint64_t hash = fnv_of_nothing;

    /// Bytes of text for each unknown token of the stream, of which there is one at least: what no other token stands for.
    [[nodiscard]] double unknown_share() const {
      double found = share;
      if (found >= 0) return found;
      const auto unknown = std::count(tokens.begin(), tokens.end(), *tokenizer->unknown());
      const std::uint64_t known = tokenizer->bytes_of(tokens);
      found = static_cast<double>(text_bytes - std::min(text_bytes, known)) / static_cast<double>(unknown);
      share = found;  // threads that look at once all find this
      return found;
    }

   private:
    mutable std::atomic<double> share{-1};  // not known yet
  };

  explicit TokenStream(std::shared_ptr<const Block> block) : block_(std::move(block)) {}

  template <class Sink>
  static void tokenise(std::string_view text, const Tokenizer& tokenizer, Block& block, Sink&& sink) {
    block.tokenizer = tokenizer;
    block.text_bytes = text.size();
    std::vector<std::int32_t> ids;
    if (const auto bos = tokenizer.bos()) ids.push_back(*bos);
    std::size_t at = 0;
    do {
      if (!text.empty()) at = tokenizer.encode_piece(text, at, ids);
      block.hash = fnv_extend(block.hash, ids);
      sink(ids, text.data() + at);
    } while (at < text.size());
  }

  std::shared_ptr<const Block> block_;
};

}  // namespace binllm
