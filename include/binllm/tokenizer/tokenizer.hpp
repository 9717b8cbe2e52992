// SPDX-License-Identifier: MIT
/// Text to token ids and back.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// A tokenizer as a value: cheap to copy, immutable, safe to share between threads.
/// A new kind of tokenizer derives from `Tokenizer::Interface` and is passed as a `std::shared_ptr`.
class Tokenizer {
 public:
  /// A file of a model folder.
  struct StoredFile {
    std::string_view name, content;
  };

  /// What a kind of tokenizer supplies. Ids handed to it are in range.
  class Interface {
   public:
    virtual ~Interface() = default;
    /// Appends the ids of the text to `ids`.
    virtual void encode(std::string_view text, std::vector<std::int32_t>& ids) const = 0;
    [[nodiscard]] virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
    [[nodiscard]] virtual Index vocab_size() const = 0;
    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Bytes of text that an id stands for in the middle of a text; 0 of the unknown piece.
    [[nodiscard]] virtual std::size_t bytes_of(std::int32_t id) const = 0;
    [[nodiscard]] virtual std::optional<std::int32_t> unknown() const { return std::nullopt; }
    [[nodiscard]] virtual std::vector<std::int32_t> without_piece() const { return {}; }
    [[nodiscard]] virtual std::optional<std::int32_t> bos() const { return std::nullopt; }
    [[nodiscard]] virtual std::optional<std::int32_t> eos() const { return std::nullopt; }
    /// Where a text may be cut, `target` bytes after `from` or later, so that the ids of the parts, one after the
    /// other, are those of the whole. The default never cuts.
    [[nodiscard]] virtual std::size_t cut(std::string_view text, std::size_t /*from*/, std::size_t /*target*/) const {
      return text.size();
    }
    /// Appends the ids of a text from a cut on.
    virtual void encode_from(std::string_view text, std::size_t from, std::vector<std::int32_t>& ids) const {
      encode(text.substr(from), ids);
    }
    [[nodiscard]] virtual std::string_view file_name() const { return {}; }
    [[nodiscard]] virtual std::string_view serialised() const { return {}; }
    [[nodiscard]] virtual std::vector<StoredFile> other_files() const { return {}; }
  };

  explicit Tokenizer(std::shared_ptr<const Interface> implementation) : implementation_(std::move(implementation)) {}

  /// The ids of a text, without BOS.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> ids;
    for (std::size_t at = 0; at < text.size();) at = encode_piece(text, at, ids);
    return ids;
  }

  /// Appends the ids of about `target` bytes of `text` from `from` on; returns where to go on. Called from 0 until the
  /// end of the text it yields exactly the ids of `encode`. By default pieces are so long that their queue of byte-pair
  /// merges stays in the processor's second cache: half the time of pieces of 1 MiB.
  std::size_t encode_piece(std::string_view text, std::size_t from, std::vector<std::int32_t>& ids,
                           std::size_t target = std::size_t{1} << 16) const {
    const std::size_t end = implementation_->cut(text, from, target);
    implementation_->encode_from(text.substr(0, end), from, ids);
    return end;
  }

  /// The text of the ids; BOS and EOS stand for no text. Errors: token_out_of_range.
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const {
    check("decode", ids);
    return implementation_->decode(ids);
  }

  /// Bytes of text that `ids`, taken from the middle of a text, stand for: the denominator of bits per byte.
  /// Errors: token_out_of_range.
  [[nodiscard]] std::uint64_t bytes_of(std::span<const std::int32_t> ids) const {
    check("bytes_of", ids);
    std::uint64_t bytes = 0;
    for (const std::int32_t id : ids) bytes += implementation_->bytes_of(id);
    return bytes;
  }

  [[nodiscard]] Index vocab_size() const { return implementation_->vocab_size(); }
  /// The id of text that the vocabulary has no piece for, where there can be such text. What it stands for cannot be
  /// told from the id.
  [[nodiscard]] std::optional<std::int32_t> unknown() const { return implementation_->unknown(); }
  /// Ids below vocab_size() that stand for nothing: holes in the vocabulary.
  [[nodiscard]] std::vector<std::int32_t> without_piece() const { return implementation_->without_piece(); }
  /// The id that opens every stream, where this tokenizer adds one.
  [[nodiscard]] std::optional<std::int32_t> bos() const { return implementation_->bos(); }
  /// The id that ends a text, where the vocabulary has one.
  [[nodiscard]] std::optional<std::int32_t> eos() const { return implementation_->eos(); }
  /// "byte", "sentencepiece" or "byte-pair".
  [[nodiscard]] std::string_view name() const { return implementation_->name(); }
  /// The file that a model folder keeps it in; empty where the name alone says everything.
  [[nodiscard]] std::string_view file_name() const { return implementation_->file_name(); }
  /// The bytes of that file; valid as long as a copy of this tokenizer lives.
  [[nodiscard]] std::string_view serialised() const { return implementation_->serialised(); }
  /// What a model folder keeps besides, for other programs and for what that file has no place for; as long valid.
  [[nodiscard]] std::vector<StoredFile> other_files() const { return implementation_->other_files(); }
  /// For those who know a kind of tokenizer and want what only it has.
  [[nodiscard]] const Interface& implementation() const noexcept { return *implementation_; }

 private:
  void check(const char* operation, std::span<const std::int32_t> ids) const {
    const Index vocabulary = vocab_size();
    for (const std::int32_t id : ids) {
      if (id < 0 || id >= vocabulary) {
        throw Error(ErrorId::token_out_of_range, operation, "ids", message("ids in [0, {})", vocabulary),
                    message("{}", id));
      }
    }
  }

  std::shared_ptr<const Interface> implementation_;
};

}  // namespace binllm
