// SPDX-License-Identifier: MIT
#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/folders/chat_template.hpp>
#include <binllm/io/folders/gguf/metadata_reader.hpp>
#include <binllm/io/folders/jinja_text.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <ctime>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace binllm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int config_depth = 64;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}
bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

Json read_json(const fs::path& path) {
  const MappedFile file(path);
  return detail::parse_json_object(file.text(), config_depth,
                                   {ErrorId::config_invalid, "read_chat_template", path.string()});
}
std::string text_of(const Json& value, const fs::path& path, std::string_view key) {
  if (value.is_string()) return value.get<std::string>();
  throw Error(ErrorId::config_invalid, "read_chat_template", fmt::format("{}: {}", path.string(), key), "a text",
              value.type_name());
}

/// The text of the BOS token; empty where nothing says it.
std::string bos_of(const fs::path& model) {
  if (is_gguf(model)) {
    const GgufFile file(model);
    const detail::GgufMetadataReader values(file, "read_chat_template", ErrorId::config_invalid);
    const auto id = values.token("tokenizer.ggml.bos_token_id");
    if (!id || !values.has("tokenizer.ggml.tokens")) return {};
    const auto& pieces = values.list<std::string>("tokenizer.ggml.tokens");
    return static_cast<std::size_t>(*id) < pieces.size() ? pieces[static_cast<std::size_t>(*id)] : std::string();
  }
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const fs::path path = model / name;
    if (!is_there(path)) continue;
    const Json object = read_json(path);
    const auto found = object.find("bos_token");
    if (found == object.end() || found->is_null()) continue;
    return text_of(found->is_object() && found->contains("content") ? found->at("content") : *found, path, "bos_token");
  }
  return {};
}

/// As "%d %b %Y" of Python writes it.
std::string date_of_today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%d %b %Y", &parts)};
}

/// What stands between two texts where the first occurs; nothing where it does not.
std::optional<std::string> between(std::string_view text, std::string_view before, std::string_view behind) {
  const std::size_t at = text.find(before);
  if (at == text.npos) return std::nullopt;
  const std::size_t first = at + before.size(), last = text.find(behind, first);
  return last == text.npos ? std::nullopt : std::optional(std::string(text.substr(first, last - first)));
}

/// Names like <|this|>, each once.
std::set<std::string> markers_in(std::string_view text) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  std::set<std::string> names;
  for (std::size_t at = text.find("<|"); at != text.npos; at = text.find("<|", at + 2)) {
    const std::size_t end = text.find_first_not_of(letters, at + 2);
    if (end != text.npos && end > at + 2 && text.substr(end).starts_with("|>"))
      names.emplace(text.substr(at, end + 2 - at));
  }
  return names;
}

/// What the other templates are, by what stands in them; the first that fits.
constexpr std::pair<std::string_view, std::string_view> others[] = {
    {"<|im_sep|>", "Phi 4's"},
    {"<|start_of_role|>", "Granite's"},
    {"<start_of_turn>", "Gemma's"},
    {"<\xef\xbd\x9c"
     "User",
     "DeepSeek's"},
    {"[gMASK]", "GLM's"},
    {"<|START_OF_TURN_TOKEN|>", "Command R's"},
    {"<|channel|>", "gpt-oss's"},
    {"[INST]", "Mistral's or an older one with [INST]"},
    {"<|user|>", "Zephyr's, Phi 3's or one like them"},
    {"USER:", "Vicuna's"},
    {"### Instruction", "Alpaca's"},
    {"<think>", "one that leaves earlier thoughts out"},
};

/// What to say of a template that is not known.
std::string described(std::string_view jinja) {
  std::string words;
  for (const char c : jinja.substr(0, 400)) {
    const bool blank = static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
    if (!blank || (!words.empty() && words.back() != ' ')) words += blank ? ' ' : c;
    if (words.size() == 60) break;
  }
  const auto known =
      std::find_if(std::begin(others), std::end(others), [&](const auto& other) { return has(jinja, other.first); });
  return known == std::end(others) ? fmt::format("another that begins with '{}'", words)
                                   : fmt::format("{}: '{}'", known->second, words);
}

/// Llama 3.1 and later tell the date in their system turn. Nothing where a template says it otherwise.
std::optional<std::string> dated_system(const std::string& text, std::string_view today) {
  const auto date = between(text, "{%set date_string='", "'%}");
  const bool as_known = has(text, "{{'<|start_header_id|>system<|end_header_id|>\n\n'}}") &&
                        has(text, "'Cutting Knowledge Date: December 2023\nToday Date: '+date_string+'\n\n'") &&
                        has(text, "system_message+'<|eot_id|>'}}");
  if (!as_known || !date) return std::nullopt;
  const bool asks = has(text, "{%set date_string=strftime_now('%d %b %Y')%}");
  const std::string told = !asks ? *date : today.empty() ? date_of_today() : std::string(today);
  return fmt::format("Cutting Knowledge Date: December 2023\nToday Date: {}\n\n", told);
}

/// The form of a template in one spelling, if it is the one with these markers.
std::optional<ChatTemplate> form_of(const std::string& text, const ChatMarkers& markers, std::string_view bos,
                                    std::string_view today) {
  ChatTemplate form{.markers = markers};
  const std::string end = form.end(), system = form.turn("system", ""),
                    before_system = system.substr(0, system.size() - end.size());
  const std::string turn =
      fmt::format("'{}'+message.role+'{}'+message.content", markers.before_role, markers.after_role);
  const bool plain = has(text, turn + "+'" + end + "'"), trims = has(text, turn + "|trim+'" + end + "'");
  if (plain == trims || !has(text, "{{'" + form.begin_answer() + "'}}")) return std::nullopt;
  form.trims = trims;
  if (has(text, "bos_token")) form.opening = bos;
  if (has(text, "date_string")) {
    const auto dated = dated_system(text, today);
    if (!dated) return std::nullopt;
    form.before_system = *dated;
  } else if (has(text, "system_message") || has(text, "strftime_now")) {
    return std::nullopt;
  }
  for (std::size_t at = text.find("'" + before_system); at != text.npos; at = text.find("'" + before_system, at + 1)) {
    // To the end of the text in quotes. One that goes on with what the user gave, or with tools, has nothing of its own.
    const std::size_t first = at + 1 + before_system.size();
    const std::size_t last = std::min({text.find("'+", first), text.find("'}}", first), text.find("'%}", first)});
    std::string own = text.substr(first, last - first);
    if (own.empty()) continue;
    if (!own.ends_with(end) || !form.before_system.empty()) return std::nullopt;
    own.resize(own.size() - end.size());
    if (!form.default_system.empty() && form.default_system != own) return std::nullopt;
    form.default_system = own;
  }
  return form;
}

/// Blanks that are printed by themselves stand between turns, where the forms have none.
bool prints_blanks(std::string_view text) {
  for (std::size_t at = text.find("{{'"); at != text.npos; at = text.find("{{'", at + 1)) {
    const std::size_t end = text.find_first_not_of(" \t\n", at + 3);
    if (end != text.npos && text.substr(end).starts_with("'}}")) return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> chat_template_text(const fs::path& model) {
  if (is_gguf(model)) {
    const GgufFile file(model);
    const detail::GgufMetadataReader values(file, "read_chat_template", ErrorId::config_invalid);
    constexpr const char* key = "tokenizer.chat_template";
    return values.has(key) ? std::optional(values.text(key)) : std::nullopt;
  }
  if (is_there(model / chat_template_file)) return std::string(MappedFile(model / chat_template_file).text());
  const fs::path path = model / "tokenizer_config.json";
  if (!is_there(path)) return std::nullopt;
  const Json object = read_json(path);
  const auto found = object.find("chat_template");
  if (found == object.end() || found->is_null()) return std::nullopt;
  if (!found->is_array()) return text_of(*found, path, "chat_template");
  for (const Json& one : *found) {
    const bool is_default = one.is_object() && one.contains("name") && one["name"] == "default";
    if (is_default && one.contains("template")) return text_of(one["template"], path, "chat_template");
  }
  throw Error(ErrorId::config_invalid, "read_chat_template", path.string() + ": chat_template",
              "a text, or one that is named \"default\"", "a list without one");
}

ChatTemplate recognise_chat_template(std::string_view jinja, std::string_view bos, std::string_view from,
                                     std::string_view today) {
  static const std::set<std::string> known[] = {
      {"<|im_start|>", "<|im_end|>", "<|endoftext|>"},
      {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|begin_of_text|>", "<|python_tag|>"}};
  static_assert(std::size(known) == chat_markers.size());
  const auto text = detail::in_one_spelling(jinja);
  const std::set<std::string> names = text ? markers_in(*text) : std::set<std::string>{};
  const bool thinks = has(jinja, "think") || has(jinja, "reasoning");
  for (std::size_t i = 0; text && !thinks && !prints_blanks(*text) && i < chat_markers.size(); ++i) {
    if (!std::includes(known[i].begin(), known[i].end(), names.begin(), names.end())) continue;
    if (const auto form = form_of(*text, chat_markers[i], bos, today)) return *form;
  }
  throw Error(ErrorId::unknown_name, "read_chat_template", from, "the chat template chatml or llama-3",
              described(jinja));
}

ChatTemplate read_chat_template(const fs::path& model) {
  if (!is_there(model)) {
    throw Error(ErrorId::file_missing, "read_chat_template", model.string(), "a model folder or a GGUF file",
                "nothing of that name");
  }
  const auto jinja = chat_template_text(model);
  if (!jinja) {
    throw Error(
        ErrorId::file_missing, "read_chat_template", model.string(),
        "a chat template: chat_template.jinja, chat_template in tokenizer_config.json, or tokenizer.chat_template "
        "in a GGUF file",
        "none: the model may not have been trained to chat");
  }
  return recognise_chat_template(*jinja, has(*jinja, "bos_token") ? bos_of(model) : "", model.string());
}

}  // namespace binllm
