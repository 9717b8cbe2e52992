// SPDX-License-Identifier: MIT
#include <binllm/core/mapped_memory.hpp>
#include <binllm/tokenizer/sentencepiece.hpp>
#include <binllm/tokenizer/sentencepiece/model.hpp>

#include <sentencepiece_processor.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>
#include <unordered_set>

namespace binllm {
namespace {

constexpr std::string_view blank_mark = "\xe2\x96\x81";  // U+2581 stands for a blank inside pieces

/// The character that starts at `at`; 0 where the bytes there are none.
char32_t character(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const std::size_t size = byte(0) < 0x80   ? 1
                           : byte(0) < 0xc2 ? 0
                           : byte(0) < 0xe0 ? 2
                           : byte(0) < 0xf0 ? 3
                           : byte(0) < 0xf5 ? 4
                                            : 0;
  if (size == 0 || text.size() - at < size) return 0;
  char32_t code = size == 1 ? byte(0) : byte(0) & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  return code;
}
bool starts_character(std::string_view text, std::size_t at) {
  return (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
}

/// Where nothing reaches across. Byte-pair merges join two pieces to one of the vocabulary; where no piece has the two
/// characters at a cut side by side none does, and the parts have the ids of the whole. (Unigram models add up scores
/// from the start of the text, so their rounding reaches across any cut.)
class Cuts {
 public:
  explicit Cuts(const SentencePieceModel& model)
      : exact_(model.kind == SentencePieceModel::Kind::byte_pair && !model.blank_is_suffix && model.marks_blanks &&
               model.rewriting.empty()) {
    using Type = SentencePieceModel::Type;
    for (const auto& piece : model.pieces) {
      if (piece.type == Type::byte) unknown_are_bytes_ = true;
      if (piece.type == Type::byte || piece.type == Type::control) continue;
      char32_t last = 0;
      std::size_t characters = 0;
      for (std::size_t at = 0; at < piece.text.size(); ++at) {
        if (!starts_character(piece.text, at)) continue;
        const char32_t next = plain(character(piece.text, at));
        if (characters++ > 0) together_.insert(pair(last, next));
        last = next;
      }
      if (characters == 1 && piece.type != Type::unknown && piece.type != Type::unused) known_.insert(last);
    }
  }
  /// The first one from `at` on, else the end.
  [[nodiscard]] std::size_t next(std::string_view text, std::size_t at) const {
    for (; exact_ && at < text.size(); ++at) {
      if (at > 0 && starts_character(text, at) && separates(character(text, before(text, at)), character(text, at)))
        return at;
    }
    return text.size();
  }
  /// Where the character before a cut starts.
  [[nodiscard]] static std::size_t before(std::string_view text, std::size_t cut) {
    std::size_t at = cut - 1;
    while (at > 0 && cut - at < 4 && !starts_character(text, at)) --at;
    return at;
  }

 private:
  static constexpr char32_t mark = 0x2581;  // stands for a blank in pieces; in a text it is taken for one
  [[nodiscard]] static char32_t plain(char32_t c) { return c == mark ? U' ' : c; }
  [[nodiscard]] static std::uint64_t pair(char32_t a, char32_t b) { return std::uint64_t{a} << 32 | b; }
  /// Blanks before a cut would be the end of a text, where they may be dropped. Unknown characters side by side are one
  /// id, unless they are bytes.
  [[nodiscard]] bool separates(char32_t a, char32_t b) const {
    if (a == 0 || b == 0 || a == U' ' || a == mark || b == mark) return false;
    return !together_.contains(pair(a, b)) && (unknown_are_bytes_ || known_.contains(a) || known_.contains(b));
  }

  bool exact_, unknown_are_bytes_ = false;
  std::unordered_set<std::uint64_t> together_;
  std::unordered_set<char32_t> known_;
};

class SentencePiece final : public Tokenizer::Interface {
 public:
  SentencePiece(std::string model, const std::string& path) : model_(std::move(model)) {
    if (const std::string wrong = load(); !wrong.empty()) {
      throw Error(ErrorId::tokenizer_invalid, "load_sentencepiece", path, "a SentencePiece model or a tokenizer.json",
                  wrong);
    }
    cuts_.emplace(parse_sentencepiece(model_));
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

  [[nodiscard]] std::size_t cut(std::string_view text, std::size_t from, std::size_t target) const override {
    return target < text.size() - from ? cuts_->next(text, from + std::max<std::size_t>(target, 1)) : text.size();
  }
  /// A text of its own would begin with a blank. So the character before the cut comes along, and its ids do not.
  void encode_from(std::string_view text, std::size_t from, std::vector<std::int32_t>& ids) const override {
    if (from == 0) return encode(text, ids);
    const std::string_view with_lead = text.substr(Cuts::before(text, from));
    std::vector<std::int32_t> lead, all;
    encode(with_lead.substr(0, with_lead.size() - (text.size() - from)), lead);
    encode(with_lead, all);
    ids.insert(ids.end(), all.begin() + static_cast<std::ptrdiff_t>(lead.size()), all.end());
  }

 private:
  /// What is wrong with the model; empty if nothing is. The library throws where its dictionary cannot be built.
  std::string load() {
    try {
      const auto status = processor_.LoadFromSerializedProto(model_);
      if (status.ok() && processor_.GetPieceSize() < 1) return "no pieces";
      return status.ok() ? std::string() : "other bytes";  // its own words speak of its source
    } catch (const std::exception& error) {
      return error.what();
    }
  }
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
  std::optional<Cuts> cuts_;
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
