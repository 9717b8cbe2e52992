// SPDX-License-Identifier: MIT
#include <binllm/core/mapped_memory.hpp>
#include <binllm/tokenizer/sentencepiece.hpp>
#include <binllm/tokenizer/sentencepiece/model.hpp>

#include <sentencepiece_processor.h>

#include <limits>

namespace binllm {
namespace {

constexpr std::string_view blank_mark = "\xe2\x96\x81";  // U+2581 stands for a blank inside pieces

/// True if a piece could join the end of one word with the blank before the next.
bool spans_a_blank(std::string_view piece) {
  bool word = false;
  while (!piece.empty()) {
    const bool mark = piece.starts_with(blank_mark);
    if (piece.front() == ' ' || (word && mark)) return true;
    word = word || !mark;
    piece.remove_prefix(mark ? blank_mark.size() : 1);
  }
  return false;
}

/// Whether "a b" has the ids of "a" followed by those of "b", given that neither has a blank at the cut: byte-pair
/// merges stay inside words, text is not rewritten, and the dummy prefix before "b" is the blank that was dropped.
/// (Unigram models add up scores from the start of the text, so their rounding reaches across any cut.)
bool words_are_independent(const SentencePieceModel& model) {
  using Type = SentencePieceModel::Type;
  bool spans = false, blank_is_known = false;
  for (const auto& piece : model.pieces) {
    if (piece.type == Type::control) continue;
    spans = spans || spans_a_blank(piece.text);
    blank_is_known = blank_is_known || (piece.text == blank_mark && piece.type != Type::unused);
  }
  return model.kind == SentencePieceModel::Kind::byte_pair && !model.blank_is_suffix && model.dummy_prefix &&
         model.marks_blanks && model.rewriting.empty() && !spans && blank_is_known;
}

class SentencePiece final : public Tokenizer::Interface {
 public:
  SentencePiece(std::string model, const std::string& path) : model_(std::move(model)) {
    const auto status = processor_.LoadFromSerializedProto(model_);
    if (!status.ok() || processor_.GetPieceSize() < 1) {
      throw Error(ErrorId::tokenizer_invalid, "load_sentencepiece", path, "a SentencePiece model", status.ToString());
    }
    words_are_independent_ = words_are_independent(parse_sentencepiece(model_));
    for (int id = 0; id < processor_.GetPieceSize(); ++id) bytes_.push_back(surface_bytes(id));
  }

  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      throw Error(ErrorId::tokenizer_invalid, "encode", "text", "less than 2 GiB, or a model that can be fed in pieces",
                  fmt::format("{} bytes", text.size()));
    }
    std::vector<int> piece_ids;
    check(processor_.Encode({text.data(), text.size()}, &piece_ids), "encode");
    ids.insert(ids.end(), piece_ids.begin(), piece_ids.end());
  }

  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    check(processor_.Decode(std::vector<int>(ids.begin(), ids.end()), &text), "decode");
    return text;
  }

  [[nodiscard]] Index vocab_size() const override { return processor_.GetPieceSize(); }
  [[nodiscard]] std::string_view name() const override { return "sentencepiece"; }
  [[nodiscard]] std::size_t bytes_of(std::int32_t id) const override { return bytes_[static_cast<std::size_t>(id)]; }
  [[nodiscard]] std::optional<std::int32_t> unknown() const override { return defined(processor_.unk_id()); }
  [[nodiscard]] std::optional<std::int32_t> bos() const override { return defined(processor_.bos_id()); }
  [[nodiscard]] std::optional<std::int32_t> eos() const override { return defined(processor_.eos_id()); }
  [[nodiscard]] std::string_view file_name() const override { return "tokenizer.model"; }
  [[nodiscard]] std::string_view serialised() const override { return model_; }

  /// At the first single blank between two words from `target` on; the blank is dropped.
  [[nodiscard]] Tokenizer::Cut cut(std::string_view text, std::size_t target) const override {
    if (words_are_independent_ && target > 0) {
      for (std::size_t at = text.find(' ', target); at != std::string_view::npos; at = text.find(' ', at + 1)) {
        const std::string_view before = text.substr(0, at), after = text.substr(at + 1);
        const bool blank_before = before.ends_with(' ') || before.ends_with(blank_mark);
        const bool blank_after = after.empty() || after.starts_with(' ') || after.starts_with(blank_mark);
        if (!blank_before && !blank_after) return {at, at + 1};
      }
    }
    return {text.size(), text.size()};
  }

 private:
  static std::optional<std::int32_t> defined(int id) { return id < 0 ? std::nullopt : std::optional<std::int32_t>(id); }

  static void check(const sentencepiece::util::Status& status, const char* operation) {
    if (!status.ok()) {
      throw Error(ErrorId::tokenizer_invalid, operation, "tokenizer.model", "success", status.ToString());
    }
  }

  [[nodiscard]] std::size_t surface_bytes(int id) const {
    if (processor_.IsControl(id) || processor_.IsUnknown(id)) return 0;
    if (processor_.IsByte(id)) return 1;
    const std::string& piece = processor_.IdToPiece(id);
    std::size_t bytes = piece.size();
    for (std::size_t at = piece.find(blank_mark); at != std::string::npos; at = piece.find(blank_mark, at + 3))
      bytes -= 2;
    return bytes;
  }

  std::string model_;
  sentencepiece::SentencePieceProcessor processor_;
  std::vector<std::size_t> bytes_;
  bool words_are_independent_ = false;
};

}  // namespace

Tokenizer sentencepiece_tokenizer(std::string file, const std::string& name) {
  return Tokenizer(std::make_shared<const SentencePiece>(std::move(file), name));
}

Tokenizer load_sentencepiece(const std::string& path) {
  const MappedMemory file = MappedMemory::of_file(path);
  return sentencepiece_tokenizer({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path);
}

}  // namespace binllm
