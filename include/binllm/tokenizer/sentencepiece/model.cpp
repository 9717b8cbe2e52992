// SPDX-License-Identifier: MIT
#include <binllm/tokenizer/sentencepiece/model.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

namespace binllm {
namespace {

// Numbers of fields: ModelProto; its SentencePiece; TrainerSpec; NormalizerSpec.
constexpr int piece_field = 1, trainer_field = 2, normaliser_field = 3;
constexpr int text_field = 1, score_field = 2, type_field = 3;
constexpr int kind_field = 3, size_field = 4, suffix_field = 24, byte_fallback_field = 35, unknown_field = 40,
              bos_field = 41, eos_field = 42, pad_field = 43, unknown_piece_field = 45, bos_piece_field = 46,
              eos_piece_field = 47, pad_piece_field = 48;
constexpr int rewriting_field = 2, prefix_field = 3, removes_field = 4, marks_field = 5;

/// The fields of one protocol-buffer message, one after the other.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  /// Goes to the next field; false at the end or where the bytes make no sense.
  bool next() {
    std::uint64_t key = 0;
    if (rest_.empty() || !varint(key)) return false;
    number = static_cast<int>(key >> 3);
    value = 0;
    bytes = {};
    switch (key & 7) {
      case 0:
        return varint(value);
      case 1:
        return skip(8);
      case 2:
        return varint(value) && value <= rest_.size() && skip(static_cast<std::size_t>(value));
      case 5:
        return skip(4);
      default:
        return false;
    }
  }

  int number = 0;
  std::uint64_t value = 0;
  std::string_view bytes;

 private:
  bool varint(std::uint64_t& result) {
    result = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      result |= static_cast<std::uint64_t>(byte & 0x7fu) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool skip(std::size_t count) {
    if (count > rest_.size()) return false;
    bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return true;
  }

  std::string_view rest_;
};

/// A message, field by field.
class Message {
 public:
  void put(int field, std::int64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(static_cast<std::uint64_t>(value));
  }
  void put(int field, float value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 5);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(int field, std::string_view value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    bytes_.append(value);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

SentencePieceModel::Piece parse_piece(Fields field) {
  SentencePieceModel::Piece piece;
  while (field.next()) {
    if (field.number == text_field) piece.text = field.bytes;
    if (field.number == score_field && field.bytes.size() == sizeof piece.score) {
      std::memcpy(&piece.score, field.bytes.data(), sizeof piece.score);
    }
    if (field.number == type_field) piece.type = static_cast<SentencePieceModel::Type>(field.value);
  }
  return piece;
}

void parse_trainer(Fields field, SentencePieceModel& model) {
  const std::pair<int, std::int32_t*> ids[] = {
      {unknown_field, &model.unknown}, {bos_field, &model.bos}, {eos_field, &model.eos}, {pad_field, &model.pad}};
  while (field.next()) {
    if (field.number == kind_field) model.kind = static_cast<SentencePieceModel::Kind>(field.value);
    if (field.number == suffix_field) model.blank_is_suffix = field.value != 0;
    for (const auto& [number, id] : ids) {
      if (field.number == number) *id = static_cast<std::int32_t>(field.value);
    }
  }
}

void parse_normaliser(Fields field, SentencePieceModel& model) {
  while (field.next()) {
    if (field.number == rewriting_field) model.rewriting = field.bytes;
    if (field.number == prefix_field) model.dummy_prefix = field.value != 0;
    if (field.number == removes_field) model.removes_blanks = field.value != 0;
    if (field.number == marks_field) model.marks_blanks = field.value != 0;
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece(std::string_view file) {
  SentencePieceModel model;
  for (Fields field(file); field.next();) {
    if (field.number == piece_field) model.pieces.push_back(parse_piece(Fields(field.bytes)));
    if (field.number == trainer_field) parse_trainer(Fields(field.bytes), model);
    if (field.number == normaliser_field) parse_normaliser(Fields(field.bytes), model);
  }
  return model;
}

std::string serialise_sentencepiece(const SentencePieceModel& model) {
  Message file, trainer, normaliser;
  bool has_bytes = false;
  for (const auto& piece : model.pieces) {
    Message own;
    own.put(text_field, std::string_view(piece.text));
    own.put(score_field, piece.score);
    own.put(type_field, static_cast<std::int64_t>(piece.type));
    file.put(piece_field, std::string_view(own.bytes()));
    has_bytes = has_bytes || piece.type == SentencePieceModel::Type::byte;
  }
  trainer.put(kind_field, static_cast<std::int64_t>(model.kind));
  trainer.put(size_field, static_cast<std::int64_t>(model.pieces.size()));
  trainer.put(suffix_field, std::int64_t{model.blank_is_suffix});
  trainer.put(byte_fallback_field, std::int64_t{has_bytes});
  const auto put_special = [&](int id_field, int piece_name_field, std::int32_t id) {
    trainer.put(id_field, std::int64_t{id});
    if (id < 0 || static_cast<std::size_t>(id) >= model.pieces.size()) return;
    trainer.put(piece_name_field, std::string_view(model.pieces[static_cast<std::size_t>(id)].text));
  };
  put_special(unknown_field, unknown_piece_field, model.unknown);
  put_special(bos_field, bos_piece_field, model.bos);
  put_special(eos_field, eos_piece_field, model.eos);
  put_special(pad_field, pad_piece_field, model.pad);
  normaliser.put(rewriting_field, std::string_view(model.rewriting));
  normaliser.put(prefix_field, std::int64_t{model.dummy_prefix});
  normaliser.put(removes_field, std::int64_t{model.removes_blanks});
  normaliser.put(marks_field, std::int64_t{model.marks_blanks});
  file.put(trainer_field, std::string_view(trainer.bytes()));
  file.put(normaliser_field, std::string_view(normaliser.bytes()));
  return file.bytes();
}

}  // namespace binllm
