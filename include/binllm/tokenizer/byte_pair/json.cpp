// SPDX-License-Identifier: MIT
#include <binllm/tokenizer/byte_pair/json.hpp>

#include <algorithm>
#include <unordered_set>

namespace binllm::detail {
namespace {

/// A text, valid UTF-8, as a JSON string.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result.append({'\\', c});
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      result.push_back(c);
    }
  }
  return result + '"';
}

std::string name_of(SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::isolated:
      return "Isolated";
    case SplitBehavior::removed:
      return "Removed";
    case SplitBehavior::merged_with_previous:
      return "MergedWithPrevious";
    case SplitBehavior::merged_with_next:
      return "MergedWithNext";
    case SplitBehavior::contiguous:
      break;
  }
  return "Contiguous";
}

std::string to_json(const PreTokenizerStep& step) {
  if (const auto* split = std::get_if<SplitStep>(&step)) {
    return fmt::format(R"({{"type":"Split","pattern":{{"{}":{}}},"behavior":"{}","invert":{}}})",
                       split->literal ? "String" : "Regex", quoted(split->pattern), name_of(split->behavior),
                       split->invert);
  }
  if (const auto* digits = std::get_if<DigitsStep>(&step)) {
    return fmt::format(R"({{"type":"Digits","individual_digits":{}}})", digits->individual);
  }
  const auto& bytes = std::get<ByteLevelStep>(step);
  return fmt::format(R"({{"type":"ByteLevel","add_prefix_space":{},"trim_offsets":true,"use_regex":{}}})",
                     bytes.add_prefix_space, bytes.use_regex);
}

std::string to_json(const AddedToken& token) {
  return fmt::format(
      R"({{"id":{},"content":{},"single_word":{},"lstrip":{},"rstrip":{},"normalized":{},"special":{}}})", token.id,
      quoted(token.text), token.single_word, token.lstrip, token.rstrip, token.normalized, token.special);
}

template <class Items, class Text>
std::string joined(const Items& items, std::string_view between, Text text) {
  std::string result;
  for (const auto& item : items) result.append(result.empty() ? "" : between).append(text(item));
  return result;
}

/// What opens a stream with BOS.
std::string post_processor(const BytePairModel& model) {
  if (!model.adds_bos || !model.bos) return "null";
  const std::string bos = quoted(text_of(model, *model.bos));
  const auto token = [&](int type) { return fmt::format(R"({{"SpecialToken":{{"id":{},"type_id":{}}}}})", bos, type); };
  const std::string first = token(0) + R"(,{"Sequence":{"id":"A","type_id":0}})";
  return fmt::format(
      R"({{"type":"TemplateProcessing","single":[{0}],"pair":[{0},{1},{{"Sequence":{{"id":"B","type_id":1}}}}],)"
      R"("special_tokens":{{{2}:{{"id":{2},"ids":[{3}],"tokens":[{2}]}}}}}})",
      first, token(1), bos, *model.bos);
}

/// Hugging Face's library gives added tokens that the vocabulary lacks the ids behind it, in their order. Where the ids
/// of this model are others, the vocabulary has to name those tokens too.
bool follow_vocabulary(const BytePairModel& model) {
  auto next = static_cast<std::size_t>(
      std::count_if(model.pieces.begin(), model.pieces.end(), [](const std::string& piece) { return !piece.empty(); }));
  for (const AddedToken& token : model.added) {
    const auto id = static_cast<std::size_t>(token.id);
    const bool is_piece = id < model.pieces.size() && !model.pieces[id].empty();
    if (!is_piece && id != next++) return false;
  }
  return true;
}

std::string vocabulary(const BytePairModel& model) {
  std::string entries;
  const auto append = [&](std::string_view piece, std::size_t id) {
    if (piece.empty()) return;
    entries += fmt::format("{}{}:{}", entries.empty() ? "" : ",", quoted(piece), id);
  };
  for (std::size_t id = 0; id < model.pieces.size(); ++id) append(model.pieces[id], id);
  if (follow_vocabulary(model)) return entries;
  for (const AddedToken& token : model.added) {
    const auto id = static_cast<std::size_t>(token.id);
    if (id >= model.pieces.size() || model.pieces[id].empty()) append(token.text, id);
  }
  return entries;
}

}  // namespace

std::string_view text_of(const BytePairModel& model, std::int32_t id) {
  const auto added =
      std::find_if(model.added.begin(), model.added.end(), [&](const AddedToken& token) { return token.id == id; });
  if (added != model.added.end()) return added->text;
  const auto at = static_cast<std::size_t>(id);
  return id >= 0 && at < model.pieces.size() ? std::string_view(model.pieces[at]) : std::string_view{};
}

std::string to_tokenizer_json(const BytePairModel& model, const std::vector<Merger::Merge>& merges) {
  const auto& steps = model.words.steps;
  const std::string pre_tokenizer = joined(steps, ",", [](const PreTokenizerStep& step) { return to_json(step); });
  std::string text = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)";
  text += joined(model.added, ",", [](const AddedToken& token) { return to_json(token); });
  text += fmt::format(R"(],"normalizer":{},)", model.words.nfc ? R"({"type":"NFC"})" : "null");
  text += steps.size() == 1
              ? fmt::format(R"("pre_tokenizer":{},)", pre_tokenizer)
              : fmt::format(R"("pre_tokenizer":{{"type":"Sequence","pretokenizers":[{}]}},)", pre_tokenizer);
  text += fmt::format(R"("post_processor":{},)", post_processor(model));
  text += R"("decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},)";
  text += fmt::format(
      R"("model":{{"type":"BPE","dropout":null,"unk_token":{},"continuing_subword_prefix":null,)"
      R"("end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":{},"vocab":{{{}}},"merges":[)",
      model.unknown ? quoted(text_of(model, *model.unknown)) : "null", model.words.ignore_merges, vocabulary(model));
  text += joined(merges, ",", [&](const Merger::Merge& merge) {
    return quoted(fmt::format("{} {}", model.pieces[static_cast<std::size_t>(merge.left)],
                              model.pieces[static_cast<std::size_t>(merge.right)]));
  });
  return text + "]}}\n";
}

std::string to_tokenizer_config(const BytePairModel& model) {
  std::string text = "{\n";
  if (model.bos) text += fmt::format("  \"bos_token\": {},\n", quoted(text_of(model, *model.bos)));
  if (model.eos) text += fmt::format("  \"eos_token\": {},\n", quoted(text_of(model, *model.eos)));
  return text + fmt::format(
                    "  \"add_bos_token\": {},\n  \"clean_up_tokenization_spaces\": false,\n"
                    "  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}}\n",
                    model.adds_bos && model.bos);
}

}  // namespace binllm::detail
