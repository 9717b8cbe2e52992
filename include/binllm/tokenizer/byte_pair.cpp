// SPDX-License-Identifier: MIT
#include <binllm/tokenizer/byte_pair.hpp>
#include <binllm/tokenizer/byte_pair/added_tokens.hpp>
#include <binllm/tokenizer/byte_pair/byte_letters.hpp>
#include <binllm/tokenizer/byte_pair/json.hpp>
#include <binllm/tokenizer/byte_pair/merger.hpp>
#include <binllm/tokenizer/byte_pair/unicode.hpp>
#include <binllm/tokenizer/byte_pair/word_cutter.hpp>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

namespace binllm {
namespace {

using namespace detail;

constexpr std::int32_t most_ids = std::int32_t{1} << 24;

[[noreturn]] void refuse(std::string_view argument, std::string_view wanted, std::string_view found) {
  throw Error(ErrorId::tokenizer_invalid, "byte_pair_tokenizer", argument, wanted, found);
}

std::string shown(std::string_view text) { return fmt::format("\"{}\"", text.substr(0, 64)); }

/// Pieces by their text. Errors: tokenizer_invalid.
std::unordered_map<std::string_view, std::int32_t> ids_of(const std::vector<std::string>& pieces) {
  if (pieces.size() > static_cast<std::size_t>(most_ids)) refuse("pieces", "at most 2^24", "more");
  std::unordered_map<std::string_view, std::int32_t> ids;
  ids.reserve(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].empty()) continue;
    if (valid_utf8(pieces[i]) != pieces[i].size()) refuse("pieces", "UTF-8", fmt::format("other bytes for id {}", i));
    const auto id = static_cast<std::int32_t>(i);
    const auto [first, is_new] = ids.emplace(pieces[i], id);
    if (!is_new) {
      refuse("pieces", "every piece once", fmt::format("{} for {} and {}", shown(pieces[i]), first->second, id));
    }
  }
  if (ids.empty()) refuse("pieces", "one or more", "none");
  return ids;
}

/// Errors: tokenizer_invalid where a part or the result of a merge is no piece.
std::vector<Merger::Merge> merges_of(const BytePairModel& model) {
  const auto ids = ids_of(model.pieces);
  std::vector<Merger::Merge> merges;
  merges.reserve(model.merges.size());
  std::string merged;
  for (const auto& [left, right] : model.merges) {
    const auto id = [&](std::string_view text) {
      const auto found = ids.find(text);
      if (found == ids.end() || text.find(' ') != text.npos) {
        refuse("merges", "parts and results that the vocabulary has",
               fmt::format("{} in merge {}: {} and {}", shown(text), merges.size(), shown(left), shown(right)));
      }
      return found->second;
    };
    merged.assign(left).append(right);
    merges.push_back({id(left), id(right), id(merged)});
  }
  return merges;
}

class BytePair final : public Tokenizer::Interface {
 public:
  explicit BytePair(BytePairModel model)
      : model_(std::move(model)),
        merges_(merges_of(model_)),
        cutter_(model_.words.steps),
        merger_(letter_bytes(model_), merges_, model_.unknown, model_.words.ignore_merges),
        letter_or_number_(letter_or_number) {
    model_.merges = {};  // merges_ has them
    texts_ = letter_bytes(model_);
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      if (texts_[id].empty()) texts_[id] = model_.pieces[id];
    }
    std::unordered_set<std::string_view> texts;
    std::unordered_set<std::int32_t> ids;
    for (const AddedToken& token : model_.added) {
      check(token);
      if (!texts.insert(token.text).second || !ids.insert(token.id).second) {
        refuse("added", "every token and every id once", fmt::format("{} as {} again", shown(token.text), token.id));
      }
      add(token);
    }
    for (const auto& [name, id] : {std::pair{"bos", model_.bos}, {"eos", model_.eos}, {"unknown", model_.unknown}}) {
      if (id && text_of(model_, *id).empty()) refuse(name, "an id of the vocabulary", fmt::format("{}", *id));
    }
    for (std::int32_t id = 0; id < static_cast<std::int32_t>(texts_.size()); ++id) {
      const auto i = static_cast<std::size_t>(id);
      if ((i >= model_.pieces.size() || model_.pieces[i].empty()) && !ids.contains(id)) holes_.push_back(id);
    }
  }

  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    const Borrowed memory(*this);
    const auto on_token = [&](std::int32_t id) { ids.push_back(id); };
    const auto on_words = [&](std::string_view part) { encode_words(part, *memory, ids); };
    const auto on_valid = [&](std::string_view part) {
      const std::string_view normal = model_.words.nfc ? nfc(part, memory->normal) : part;
      after_normalisation_.split(normal, memory->match, on_words, on_token);
    };
    const auto on_text = [&](std::string_view part) {
      each_run(part, on_valid, [&](std::string_view other) { merger_.encode(other, memory->merge, ids); });
    };
    as_it_stands_.split(text, memory->match, on_text, on_token);
  }

  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids) text += texts_[static_cast<std::size_t>(id)];
    return text;
  }

  [[nodiscard]] Index vocab_size() const override { return static_cast<Index>(texts_.size()); }
  [[nodiscard]] std::string_view name() const override { return "byte-pair"; }
  [[nodiscard]] std::size_t bytes_of(std::int32_t id) const override {
    return texts_[static_cast<std::size_t>(id)].size();
  }
  [[nodiscard]] std::vector<std::int32_t> without_piece() const override { return holes_; }
  [[nodiscard]] std::optional<std::int32_t> bos() const override { return model_.adds_bos ? model_.bos : std::nullopt; }
  [[nodiscard]] std::optional<std::int32_t> eos() const override { return model_.eos; }
  [[nodiscard]] std::string_view file_name() const override { return "tokenizer.json"; }
  [[nodiscard]] std::string_view serialised() const override { return files().json; }
  [[nodiscard]] std::vector<Tokenizer::StoredFile> other_files() const override {
    return {{"tokenizer_config.json", files().config}};
  }

  [[nodiscard]] BytePairModel model() const {
    BytePairModel model = model_;
    const auto piece = [&](std::int32_t id) { return model_.pieces[static_cast<std::size_t>(id)]; };
    for (const Merger::Merge& merge : merges_) model.merges.emplace_back(piece(merge.left), piece(merge.right));
    return model;
  }

  [[nodiscard]] std::size_t cut(std::string_view text, std::size_t from, std::size_t target) const override {
    if (cutter_.cuts_after_words() && target < text.size() - from) {
      const Borrowed memory(*this);
      for (std::size_t at = from + std::max<std::size_t>(target, 1); at < text.size(); ++at) {
        if (is_boundary(text, at, *memory)) return at;
      }
    }
    return text.size();
  }

 private:
  /// What one thread needs at a time; kept, with the words it has met, for the next one.
  struct Memory {
    MatchMemory match;
    MergeMemory merge;
    std::string normal;
  };
  class Borrowed {
   public:
    explicit Borrowed(const BytePair& owner) : owner_(owner) {
      const std::lock_guard lock(owner_.mutex_);
      if (!owner_.idle_.empty()) {
        memory_ = std::move(owner_.idle_.back());
        owner_.idle_.pop_back();
      }
      if (!memory_) memory_ = std::make_unique<Memory>();
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    ~Borrowed() {
      const std::lock_guard lock(owner_.mutex_);
      owner_.idle_.push_back(std::move(memory_));
    }
    Memory& operator*() const noexcept { return *memory_; }
    Memory* operator->() const noexcept { return memory_.get(); }

   private:
    const BytePair& owner_;
    std::unique_ptr<Memory> memory_;
  };
  struct Files {
    std::string json, config;
  };

  /// Of pieces that are written in the letters of bytes; empty for others.
  static std::vector<std::string> letter_bytes(const BytePairModel& model) {
    std::vector<std::string> bytes;
    bytes.reserve(model.pieces.size());
    for (const std::string& piece : model.pieces) bytes.push_back(bytes_of_piece(piece).value_or(std::string()));
    return bytes;
  }

  void check(const AddedToken& token) const {
    const std::string name = shown(token.text);
    if (token.text.empty() || valid_utf8(token.text) != token.text.size()) refuse("added", "tokens in UTF-8", name);
    if (token.id < 0 || token.id >= most_ids) refuse("added", "ids in [0, 2^24)", fmt::format("{}", token.id));
    const auto id = static_cast<std::size_t>(token.id);
    if (id >= model_.pieces.size() || model_.pieces[id].empty()) return;
    if (model_.pieces[id] != token.text && texts_[id] != token.text) {
      refuse("added", fmt::format("{} for id {}, as the vocabulary says", shown(model_.pieces[id]), id), name);
    }
  }
  void add(const AddedToken& token) {
    const auto id = static_cast<std::size_t>(token.id);
    if (id >= texts_.size()) texts_.resize(id + 1);
    texts_[id] = token.special ? "" : token.text;
    std::string storage;
    const bool after = token.normalized;
    (after ? after_normalisation_ : as_it_stands_)
        .add(token, after && model_.words.nfc ? nfc(token.text, storage) : std::string_view(token.text));
  }

  void encode_words(std::string_view text, Memory& memory, std::vector<std::int32_t>& ids) const {
    const auto on_word = [&](std::string_view word) { merger_.encode(word, memory.merge, ids); };
    cutter_.cut(text, memory.match, on_word);
  }

  /// Calls `on_valid` for runs of UTF-8 and `on_other` for runs of bytes that are none.
  template <class OnValid, class OnOther>
  static void each_run(std::string_view text, OnValid&& on_valid, OnOther&& on_other) {
    while (!text.empty()) {
      const std::size_t valid = valid_utf8(text);
      if (valid > 0) on_valid(text.substr(0, valid));
      text.remove_prefix(valid);
      std::size_t other = 0;
      while (other < text.size() && first_character(text.substr(other)) == 0) ++other;
      if (other > 0) on_other(text.substr(0, other));
      text.remove_prefix(other);
    }
  }

  /// Whether the ids of a text are those of its two parts: the pattern cuts here, no added token is near, and
  /// normalisation, which never joins an ASCII character to what stands before it, leaves it so.
  [[nodiscard]] bool is_boundary(std::string_view text, std::size_t at, Memory& memory) const {
    const auto is_alphanumeric = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    };
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    const char before = text[at - 1], behind = text[at];
    if (!is_ascii(behind) || is_alphanumeric(behind) || (cutter_.adds_blank() && behind != ' ')) return false;
    if (is_ascii(before) && !is_alphanumeric(before)) return false;

    // Normalisation makes a text at most three times longer or shorter.
    const std::size_t reach = 4 * std::max(as_it_stands_.longest(), after_normalisation_.longest()) + 16;
    std::string_view left = text.substr(0, at), right = text.substr(at, reach);
    left.remove_prefix(at - std::min(at, reach));
    if (as_it_stands_.touches({left.data(), left.size() + right.size()}, left.size())) return false;
    std::size_t valid = 0;
    while (const std::size_t size = last_character(left.substr(0, left.size() - valid))) valid += size;
    left.remove_prefix(left.size() - valid);
    right = right.substr(0, valid_utf8(right));
    std::string normal_right;
    std::string normal(model_.words.nfc ? nfc(left, memory.normal) : left);
    PatternMatch match;
    const std::string_view last = std::string_view(normal).substr(normal.size() - last_character(normal));
    if (last.empty() || !letter_or_number_.find(last, 0, match, memory.match)) return false;
    const std::size_t middle = normal.size();
    normal += model_.words.nfc ? nfc(right, normal_right) : right;
    return !after_normalisation_.touches(normal, middle);
  }

  const Files& files() const {
    std::call_once(written_, [&] { files_ = {to_tokenizer_json(model_, merges_), to_tokenizer_config(model_)}; });
    return files_;
  }

  BytePairModel model_;
  std::vector<Merger::Merge> merges_;
  WordCutter cutter_;
  Merger merger_;
  Pattern letter_or_number_;
  AddedTokens as_it_stands_, after_normalisation_;
  std::vector<std::string> texts_;  ///< by id, in bytes
  std::vector<std::int32_t> holes_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Memory>> idle_;
  mutable std::once_flag written_;
  mutable Files files_;
};

}  // namespace

Tokenizer byte_pair_tokenizer(BytePairModel model) {
  return Tokenizer(std::make_shared<const BytePair>(std::move(model)));
}

std::optional<BytePairModel> byte_pair_model(const Tokenizer& tokenizer) {
  const auto* const own = dynamic_cast<const BytePair*>(&tokenizer.implementation());
  return own == nullptr ? std::nullopt : std::optional(own->model());
}

}  // namespace binllm
