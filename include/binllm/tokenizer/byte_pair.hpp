// SPDX-License-Identifier: MIT
/// Byte-level byte-pair encoding, the tokenizer of GPT-2, GPT-NeoX, OPT, Llama 3, Qwen and SmolLM. Link
/// binllm::tokenizer.
///
/// A text is cut into words by patterns; each word is written in bytes, and bytes are merged pair by pair, the merge of
/// the best rank first (Sennrich et al. 2016; Radford et al. 2019). Ids are those of Hugging Face's `tokenizers`,
/// `encode(text, add_special_tokens=False)`.
#pragma once
#include <binllm/tokenizer/tokenizer.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace binllm {

/// What becomes of the matches of a pattern (Hugging Face's SplitDelimiterBehavior).
enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

/// Cuts at each match of a regular expression, or of a literal text.
struct SplitStep {
  std::string pattern;
  bool literal = false;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;  ///< what lies between the matches counts as the match

  friend bool operator==(const SplitStep&, const SplitStep&) = default;
};
/// Cuts between numbers and the rest, and with `individual` between the digits (Unicode's class N).
struct DigitsStep {
  bool individual = false;

  friend bool operator==(const DigitsStep&, const DigitsStep&) = default;
};
/// From here on letters are bytes. With `use_regex` it cuts by GPT-2's pattern first.
struct ByteLevelStep {
  bool add_prefix_space = false;  ///< a part that does not begin with a blank is given one
  bool use_regex = true;

  friend bool operator==(const ByteLevelStep&, const ByteLevelStep&) = default;
};
using PreTokenizerStep = std::variant<SplitStep, DigitsStep, ByteLevelStep>;

/// How a text becomes words, and words become pieces.
struct WordRules {
  bool nfc = false;                     ///< a text is brought to Unicode's form NFC first
  std::vector<PreTokenizerStep> steps;  ///< one after the other; one of them is a ByteLevelStep
  bool ignore_merges = false;           ///< a word that is a piece is taken whole, whatever the merges say

  friend bool operator==(const WordRules&, const WordRules&) = default;
};

/// The rules that a GGUF file names in "tokenizer.ggml.pre", by llama.cpp's names: gpt-2, smollm, llama-bpe, qwen2, ...
/// They are those of the original tokenizer where llama.cpp simplifies (NFC, which it leaves out).
/// Errors: unknown_name; the message lists the names.
[[nodiscard]] WordRules word_rules(std::string_view llama_cpp_name);
/// The first of these names that stands for the rules; nothing where none does.
[[nodiscard]] std::optional<std::string_view> llama_cpp_name(const WordRules& rules);

/// A token that is found in the text as it stands, before words are cut.
struct AddedToken {
  std::string text;  ///< as it stands in a text, not in byte letters
  std::int32_t id = 0;
  bool special = false;      ///< stands for no text when decoding
  bool lstrip = false;       ///< takes the blanks before it
  bool rstrip = false;       ///< takes the blanks behind it
  bool single_word = false;  ///< only between characters that belong to no word
  bool normalized = false;   ///< is looked for after NFC

  friend bool operator==(const AddedToken&, const AddedToken&) = default;
};

/// All that a byte-level BPE tokenizer is made of.
struct BytePairModel {
  /// By id, in GPT-2's letters for bytes ("Ġthe"), as files have them; an id without a piece has an empty one.
  std::vector<std::string> pieces;
  std::vector<std::pair<std::string, std::string>> merges;  ///< best first, in the same letters
  std::vector<AddedToken> added;                            ///< ids may also be those of pieces, or beyond them
  WordRules words;
  std::optional<std::int32_t> unknown;   ///< for bytes that no piece has; none: such a text is refused
  std::optional<std::int32_t> bos, eos;  ///< which ids begin and end a text
  bool adds_bos = false;                 ///< whether streams are opened with `bos`

  friend bool operator==(const BytePairModel&, const BytePairModel&) = default;
};

/// The tokenizer of a model.
/// - Bytes that are not UTF-8 are words of their own, so that every text that has pieces for its bytes comes back.
/// - `decode` leaves out special tokens and ids without a piece. A character whose bytes are not all there stays the
///   bytes that there are.
/// - `bos()` is the id only where the model `adds_bos`.
/// - Long texts are encoded in parts of bounded size where that provably gives the same ids: between a letter or number
///   and an ASCII character that is neither, if all patterns are those of GPT-2, Llama 3, Qwen2 or SmolLM.
/// - `serialised()` is a `tokenizer.json` that says the same to Hugging Face's `tokenizers`.
/// Errors: tokenizer_invalid (an empty vocabulary, a piece or an id twice, merges that do not fit the vocabulary, a
/// pattern that PCRE2 does not understand, no ByteLevelStep). `encode` throws tokenizer_invalid for bytes that no piece
/// has where there is no `unknown`, and for a single word above 16 MiB.
[[nodiscard]] Tokenizer byte_pair_tokenizer(BytePairModel model);

/// What a tokenizer of `byte_pair_tokenizer` was made of; nothing for another kind.
[[nodiscard]] std::optional<BytePairModel> byte_pair_model(const Tokenizer& tokenizer);

}  // namespace binllm
