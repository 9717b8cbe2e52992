// SPDX-License-Identifier: MIT
/// What a SentencePiece `.model` file says: the fields of sentencepiece_model.proto that decide ids, read and written.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// Defaults are those of the format.
struct SentencePieceModel {
  enum class Kind { unigram = 1, byte_pair = 2, word = 3, character = 4 };
  enum class Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = Type::normal;
  };

  std::vector<Piece> pieces;
  Kind kind = Kind::unigram;
  bool blank_is_suffix = false;                          ///< of a word, not the start of the next
  bool dummy_prefix = true;                              ///< a blank before the text
  bool removes_blanks = true;                            ///< at the ends, and but one between words
  bool marks_blanks = true;                              ///< as U+2581
  std::string rewriting;                                 ///< compiled rules of characters; empty: none
  std::int32_t unknown = 0, bos = 1, eos = 2, pad = -1;  ///< ids; below 0: none
};

/// Reads what a file has; what makes no sense is left at its default (libsentencepiece is the judge of a model).
[[nodiscard]] SentencePieceModel parse_sentencepiece(std::string_view file);
/// The bytes of a file that libsentencepiece reads.
[[nodiscard]] std::string serialise_sentencepiece(const SentencePieceModel& model);

}  // namespace binllm
