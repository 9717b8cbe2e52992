// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/folders/byte_pair_files.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int depth = 16;

std::string_view content_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}
bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// A value in a JSON file. Every error names the file and the way to the value.
class Value {
 public:
  Value(const json& value, std::string place) : value_(&value), place_(std::move(place)) {}

  [[nodiscard]] bool has(const std::string& key) const {
    return value_->is_object() && value_->contains(key) && !(*value_)[key].is_null();
  }
  [[nodiscard]] Value at(const std::string& key) const {
    if (!value_->is_object()) refuse("an object", value_->type_name());
    if (!has(key)) refuse(fmt::format("\"{}\"", key), "none");
    return {(*value_)[key], fmt::format("{}{}{}", place_, place_.ends_with(':') ? " " : ".", key)};
  }
  [[nodiscard]] Value at(std::size_t index) const { return {(*value_)[index], fmt::format("{}[{}]", place_, index)}; }
  /// Of an array.
  [[nodiscard]] std::size_t size() const {
    if (!value_->is_array()) refuse("a list", value_->type_name());
    return value_->size();
  }
  /// Of an object.
  [[nodiscard]] const json::object_t& members() const {
    if (!value_->is_object()) refuse("an object", value_->type_name());
    return value_->get_ref<const json::object_t&>();
  }
  [[nodiscard]] bool is_text() const { return value_->is_string(); }
  [[nodiscard]] const std::string& text() const {
    if (!value_->is_string()) refuse("a text", value_->type_name());
    return value_->get_ref<const std::string&>();
  }
  [[nodiscard]] bool flag(const std::string& key, bool otherwise) const {
    if (!has(key)) return otherwise;
    const json& value = (*value_)[key];
    if (!value.is_boolean()) at(key).refuse("true or false", value.type_name());
    return value.get<bool>();
  }
  /// A token id. Ids may have gaps, but not so wide that a small file asks for much memory.
  [[nodiscard]] std::int32_t id(std::size_t tokens) const {
    const std::size_t limit = 4 * tokens + (std::size_t{1} << 16);
    if (!value_->is_number_unsigned() || value_->get<std::uint64_t>() >= limit) {
      refuse(fmt::format("an id in [0, {})", limit), value_->dump().substr(0, 64));
    }
    return value_->get<std::int32_t>();
  }
  /// Refuses anything but null, false, 0 and an empty text.
  void expect_unused(const std::string& key) const {
    if (!has(key)) return;
    const json& value = (*value_)[key];
    if (value != json(false) && value != json("") && !(value.is_number() && value == json(0))) {
      at(key).refuse("none (it is not supported)", value.dump().substr(0, 64));
    }
  }
  [[noreturn]] void refuse(std::string_view wanted, std::string_view found) const {
    const bool is_file = place_.ends_with(':');
    throw Error(ErrorId::tokenizer_invalid, "load_tokenizer", place_.substr(0, place_.size() - (is_file ? 1 : 0)),
                wanted, found);
  }

 private:
  const json* value_;
  std::string place_;
};

/// A whole file.
struct Document {
  explicit Document(const fs::path& path)
      : json_(detail::parse_json_object(content_of(MappedFile(path)), depth,
                                        {ErrorId::tokenizer_invalid, "load_tokenizer", path.string()})),
        root(json_, path.string() + ":") {}

 private:
  json json_;

 public:
  Value root;
};

std::vector<std::string> read_pieces(const Value& vocabulary, std::size_t tokens) {
  std::vector<std::string> pieces;
  for (const auto& [piece, id] : vocabulary.members()) {
    const Value value(id, fmt::format("vocabulary entry \"{}\"", piece.substr(0, 64)));
    const auto at = static_cast<std::size_t>(value.id(tokens));
    if (at >= pieces.size()) pieces.resize(at + 1);
    if (!pieces[at].empty()) value.refuse("every id once", fmt::format("id {} for \"{}\" too", at, pieces[at]));
    pieces[at] = piece;
  }
  return pieces;
}

/// "left right"; false for anything else.
bool split_merge(std::string_view text, std::pair<std::string, std::string>& merge) {
  const std::size_t blank = text.find(' ');
  if (blank == text.npos || blank == 0 || blank + 1 == text.size()) return false;
  merge = {std::string(text.substr(0, blank)), std::string(text.substr(blank + 1))};
  return merge.second.find(' ') == std::string::npos;
}

void read_model(const Value& value, std::size_t added, BytePairModel& model) {
  if (value.has("type") && value.at("type").text() != "BPE") {
    value.at("type").refuse("BPE", value.at("type").text());
  }
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"}) {
    value.expect_unused(key);
  }
  if (value.has("unk_token")) value.expect_unused("fuse_unk");
  model.words.ignore_merges = value.flag("ignore_merges", false);
  const Value vocabulary = value.at("vocab");
  model.pieces = read_pieces(vocabulary, vocabulary.members().size() + added);
  const Value merges = value.at("merges");
  model.merges.resize(merges.size());
  for (std::size_t i = 0; i < model.merges.size(); ++i) {
    const Value merge = merges.at(i);
    if (!merge.is_text() && merge.size() == 2) {
      model.merges[i] = {merge.at(std::size_t{0}).text(), merge.at(std::size_t{1}).text()};
    } else if (!merge.is_text() || !split_merge(merge.text(), model.merges[i])) {
      merge.refuse("two pieces", merge.is_text() ? merge.text().substr(0, 64) : "a list of another length");
    }
  }
}

AddedToken read_added(const Value& value, std::int32_t id) {
  const bool special = value.flag("special", false);
  return {.text = value.at("content").text(),
          .id = id,
          .special = special,
          .lstrip = value.flag("lstrip", false),
          .rstrip = value.flag("rstrip", false),
          .single_word = value.flag("single_word", false),
          .normalized = value.flag("normalized", !special)};
}

/// The members of a "Sequence", or the one thing that there is.
template <class Each>
void each_of(const Value& value, const std::string& key, Each each) {
  if (value.at("type").text() != "Sequence") return each(value);
  const Value list = value.at(key);
  for (std::size_t i = 0; i < list.size(); ++i) each(list.at(i));
}

SplitBehavior behavior_of(const Value& name) {
  constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> names{{
      {"Isolated", SplitBehavior::isolated},
      {"Removed", SplitBehavior::removed},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next},
      {"Contiguous", SplitBehavior::contiguous},
  }};
  for (const auto& [known, behavior] : names) {
    if (name.text() == known) return behavior;
  }
  name.refuse("Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous", name.text().substr(0, 64));
}

PreTokenizerStep read_step(const Value& value) {
  const std::string type = value.at("type").text();
  if (type == "Digits") return DigitsStep{.individual = value.flag("individual_digits", false)};
  if (type == "ByteLevel") {
    return ByteLevelStep{.add_prefix_space = value.flag("add_prefix_space", true),
                         .use_regex = value.flag("use_regex", true)};
  }
  if (type != "Split") value.refuse("ByteLevel, Split, Digits or a Sequence of them", type.substr(0, 64));
  const Value pattern = value.at("pattern");
  const bool literal = pattern.has("String");
  return SplitStep{.pattern = pattern.at(literal ? "String" : "Regex").text(),
                   .literal = literal,
                   .behavior = behavior_of(value.at("behavior")),
                   .invert = value.flag("invert", false)};
}

/// Takes the token that a TemplateProcessing puts in front of a text.
void read_template(const Value& value, BytePairModel& model) {
  const Value parts = value.at("single");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Value part = parts.at(i);
    if (part.has("Sequence")) continue;
    const std::string name = part.at("SpecialToken").at("id").text();
    const Value ids = value.at("special_tokens").at(name).at("ids");
    if (i > 0 || ids.size() != 1) part.refuse("at most one token, in front of the text", name.substr(0, 64));
    model.bos = ids.at(std::size_t{0}).id(model.pieces.size() + model.added.size());
    model.adds_bos = true;
  }
}

void read_post_processor(const Value& value, BytePairModel& model) {
  each_of(value, "processors", [&](const Value& one) {
    const std::string type = one.at("type").text();
    if (type == "TemplateProcessing") return read_template(one, model);
    if (type != "ByteLevel") {
      one.refuse("ByteLevel, TemplateProcessing or a Sequence of them", type.substr(0, 64));
    }
  });
}

std::optional<std::int32_t> id_of(const BytePairModel& model, std::string_view text) {
  for (const AddedToken& token : model.added) {
    if (token.text == text) return token.id;
  }
  const auto piece = std::find(model.pieces.begin(), model.pieces.end(), text);
  if (text.empty() || piece == model.pieces.end()) return std::nullopt;
  return static_cast<std::int32_t>(piece - model.pieces.begin());
}

/// The text of a token, which stands there as it is or in an object; empty where there is none.
std::string token_text(const Value& settings, const std::string& key) {
  if (!settings.has(key)) return {};
  const Value value = settings.at(key);
  return value.is_text() ? value.text() : value.at("content").text();
}

/// What the files beside a vocabulary say. Those that are not there say nothing.
class Settings {
 public:
  explicit Settings(const fs::path& folder) {
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
      if (is_there(folder / name)) documents_.emplace_back(std::make_unique<Document>(folder / name));
    }
  }
  [[nodiscard]] std::string token(const std::string& key) const {
    for (const auto& document : documents_) {
      if (std::string text = token_text(document->root, key); !text.empty()) return text;
    }
    return {};
  }
  [[nodiscard]] bool flag(const std::string& key) const {
    return std::any_of(documents_.begin(), documents_.end(),
                       [&](const auto& document) { return document->root.flag(key, false); });
  }
  /// The first of the files that has the key; nothing where none has.
  [[nodiscard]] std::optional<Value> find(const std::string& key) const {
    for (const auto& document : documents_) {
      if (document->root.has(key)) return document->root.at(key);
    }
    return std::nullopt;
  }
  [[nodiscard]] bool empty() const { return documents_.empty(); }

 private:
  std::vector<std::unique_ptr<Document>> documents_;
};

void take_ends(const Settings& settings, const fs::path& folder, BytePairModel& model) {
  if (!model.bos) model.bos = id_of(model, settings.token("bos_token"));
  model.eos = id_of(model, settings.token("eos_token"));
  if (!model.adds_bos && settings.flag("add_bos_token")) {
    if (!model.bos) {
      throw Error(ErrorId::tokenizer_invalid, "load_tokenizer", folder.string() + ": add_bos_token",
                  "a \"bos_token\" that the vocabulary has", "none");
    }
    model.adds_bos = true;
  }
}

std::vector<std::pair<std::string, std::string>> read_merges(const fs::path& path) {
  const MappedFile file(path);
  std::string_view rest = content_of(file);
  std::vector<std::pair<std::string, std::string>> merges;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("#version") || (line.empty() && rest.empty())) continue;
    if (!split_merge(line, merges.emplace_back())) {
      throw Error(ErrorId::tokenizer_invalid, "load_tokenizer", fmt::format("{}: line {}", path.string(), number),
                  "two pieces with a blank between", line.substr(0, 64));
    }
  }
  return merges;
}

/// The rules that belong to a class of `transformers`.
WordRules rules_of_class(const Settings& settings) {
  const auto named = settings.find("tokenizer_class");
  std::string name = named ? named->text() : "GPT2Tokenizer";
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (name == "Qwen2Tokenizer") return word_rules("qwen2");
  if (name != "GPT2Tokenizer") {
    named->refuse("GPT2Tokenizer or Qwen2Tokenizer, or a tokenizer.json beside it", name.substr(0, 64));
  }
  WordRules rules = word_rules("gpt-2");
  std::get<ByteLevelStep>(rules.steps.back()).add_prefix_space = settings.flag("add_prefix_space");
  return rules;
}

void read_added_tokens(const fs::path& folder, const Settings& settings, BytePairModel& model) {
  const std::size_t tokens = model.pieces.size();
  if (const auto list = settings.find("added_tokens_decoder")) {
    for (const auto& [key, value] : list->members()) {
      const Value token = list->at(key);
      std::uint32_t id = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc{} || end != key.data() + key.size()) token.refuse("an id as key", key.substr(0, 64));
      const json number(id);
      model.added.push_back(read_added(token, Value(number, "added_tokens_decoder").id(tokens)));
    }
  }
  if (is_there(folder / "added_tokens.json")) {
    const Document document(folder / "added_tokens.json");
    for (const auto& [text, id] : document.root.members()) {
      const bool known = std::any_of(model.added.begin(), model.added.end(),
                                     [&text = text](const AddedToken& token) { return token.text == text; });
      if (!known) model.added.push_back({.text = text, .id = document.root.at(text).id(tokens), .normalized = true});
    }
  }
  std::vector<std::string> special;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) special.push_back(settings.token(key));
  if (settings.empty()) special.emplace_back("<|endoftext|>");
  for (const std::string& text : special) {
    const auto id = id_of(model, text);
    const bool known = std::any_of(model.added.begin(), model.added.end(),
                                   [&](const AddedToken& token) { return token.text == text; });
    if (id && !known) model.added.push_back({.text = text, .id = *id, .special = true});
  }
  std::sort(model.added.begin(), model.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

}  // namespace

BytePairModel read_tokenizer_json(const fs::path& file) {
  const Document document(file);
  const Value& root = document.root;
  BytePairModel model;
  if (!root.has("model")) root.refuse("the \"model\" of a tokenizer.json", "a JSON file of another kind");
  const std::size_t added = root.has("added_tokens") ? root.at("added_tokens").size() : 0;
  read_model(root.at("model"), added, model);
  for (std::size_t i = 0; i < added; ++i) {
    const Value token = root.at("added_tokens").at(i);
    model.added.push_back(read_added(token, token.at("id").id(model.pieces.size() + added)));
  }
  if (root.at("model").has("unk_token")) {
    const Value name = root.at("model").at("unk_token");
    model.unknown = id_of(model, name.text());
    if (!model.unknown) name.refuse("a token of the vocabulary", name.text().substr(0, 64));
  }
  if (root.has("normalizer")) {
    each_of(root.at("normalizer"), "normalizers", [&](const Value& one) {
      const std::string type = one.at("type").text();
      if (type != "NFC") one.refuse("NFC or none", type.substr(0, 64));
      model.words.nfc = true;
    });
  }
  each_of(root.at("pre_tokenizer"), "pretokenizers",
          [&](const Value& one) { model.words.steps.push_back(read_step(one)); });
  each_of(root.at("decoder"), "decoders", [&](const Value& one) {
    const std::string type = one.at("type").text();
    if (type != "ByteLevel") one.refuse("ByteLevel", type.substr(0, 64));
  });
  if (root.has("post_processor")) read_post_processor(root.at("post_processor"), model);
  take_ends(Settings(file.parent_path()), file.parent_path(), model);
  return model;
}

BytePairModel read_vocabulary_and_merges(const fs::path& folder) {
  const Settings settings(folder);
  const Document vocabulary(folder / "vocab.json");
  BytePairModel model;
  model.words = rules_of_class(settings);
  model.pieces = read_pieces(vocabulary.root, vocabulary.root.members().size());
  model.merges = read_merges(folder / "merges.txt");
  read_added_tokens(folder, settings, model);
  take_ends(settings, folder, model);
  if (settings.empty()) model.bos = model.eos = id_of(model, "<|endoftext|>");  // GPT-2's own
  return model;
}

}  // namespace binllm
