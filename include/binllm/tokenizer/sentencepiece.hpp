// SPDX-License-Identifier: MIT
/// SentencePiece `.model` files, through libsentencepiece. Link binllm::tokenizer.
#pragma once
#include <binllm/tokenizer/tokenizer.hpp>

#include <string>

namespace binllm {

/// Loads a SentencePiece model, as Llama's `tokenizer.model`. BOS is added at a stream's start where the model defines
/// one (Llama's convention). Long texts are encoded in pieces where that provably gives the ids of one call (byte-pair
/// models that do not rewrite text and whose pieces never span a blank); other models encode a text in one call, in
/// memory. `decode` restores the text of `encode` unless the model itself removes something (repeated blanks, say).
/// Errors: file_missing, file_unreadable, tokenizer_invalid.
[[nodiscard]] Tokenizer load_sentencepiece(const std::string& path);

/// The same from the bytes of such a file; `name` is for messages. Errors: tokenizer_invalid.
[[nodiscard]] Tokenizer sentencepiece_tokenizer(std::string file, const std::string& name);

}  // namespace binllm
