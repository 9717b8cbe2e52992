// SPDX-License-Identifier: MIT
/// A byte-pair tokenizer in the files of Hugging Face's libraries.
#pragma once
#include <binllm/tokenizer/byte_pair.hpp>
#include <binllm/tokenizer/byte_pair/merger.hpp>

#include <string>
#include <vector>

namespace binllm::detail {

/// tokenizer.json, for the library `tokenizers`. The merges of the model are given by ids.
[[nodiscard]] std::string to_tokenizer_json(const BytePairModel& model, const std::vector<Merger::Merge>& merges);

/// tokenizer_config.json, for `transformers`: which tokens begin and end a text. The other file has no place for that.
[[nodiscard]] std::string to_tokenizer_config(const BytePairModel& model);

/// The text of an id: that of its added token, or its piece.
[[nodiscard]] std::string_view text_of(const BytePairModel& model, std::int32_t id);

}  // namespace binllm::detail
