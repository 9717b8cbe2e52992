// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/containers/text_file.hpp>
#include <binllm/io/folders/tokens.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <string_view>

namespace binllm {
namespace {

constexpr int depth_of_lines = 64;

std::string_view characters(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Takes the next line off a text; without its line break.
std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// Encodes document after document into a token file.
class Writer {
 public:
  Writer(const std::filesystem::path& out, const Tokenizer& tokenizer, const DocumentOptions& options)
      : tokenizer_(tokenizer),
        options_(options),
        separator_(separator_of(tokenizer, options.separator)),
        file_(out, static_cast<std::uint64_t>(tokenizer.vocab_size()), hash_of(tokenizer)) {
    if (const auto bos = tokenizer.bos()) file_.append({&*bos, 1});
  }

  void add_text(const MappedMemory& file) {
    std::string_view text = characters(file.bytes());
    ReadOnce pages(file);
    while (separator_ && !text.empty()) {
      const std::size_t length = up_to_separator(text);
      if (length == text.size()) break;
      encode(text.substr(0, length), &pages);
      end_document();
      text.remove_prefix(length);
      static_cast<void>(take_line(text));
    }
    encode(text, &pages);
  }

  void add_json_lines(const MappedMemory& file, const std::filesystem::path& path) {
    std::string_view text = characters(file.bytes());
    ReadOnce pages(file);
    for (std::size_t number = 1; !text.empty(); ++number) {
      const std::string_view line = take_line(text);
      if (line.find_first_not_of(" \t") == line.npos) continue;
      const std::string place = fmt::format("{}: line {}", path.string(), number);
      const auto object =
          detail::parse_json_object(line, depth_of_lines, {ErrorId::config_invalid, "write_token_file", place});
      const auto field = object.find(options_.field);
      if (field == object.end() || !field->is_string()) {
        throw Error(ErrorId::config_invalid, "write_token_file", place,
                    fmt::format("a text in the field \"{}\"", options_.field),
                    field == object.end() ? "no such field" : field->type_name());
      }
      encode(field->get_ref<const std::string&>(), nullptr);
      end_document();
      pages.passed(text.data());
    }
  }

  TokenFileHeader finish(const std::filesystem::path& out) {
    if (text_bytes_ == 0) {
      throw Error(ErrorId::text_too_short, "write_token_file", out.string(), "a text of one byte or more", "none");
    }
    file_.commit(text_bytes_);
    return file_.header();
  }

 private:
  static std::optional<std::int32_t> separator_of(const Tokenizer& tokenizer, const std::string& separator) {
    if (separator.empty()) return std::nullopt;
    const std::vector<std::int32_t> ids = tokenizer.encode(separator);
    if (ids.size() == 1) return ids.front();
    if (tokenizer.eos()) return tokenizer.eos();
    throw Error(ErrorId::option_out_of_range, "write_token_file", "separator",
                "a text that is one token, or a tokenizer with an end token",
                fmt::format("\"{}\" with the tokenizer {}", separator.substr(0, 64), tokenizer.name()));
  }

  /// Bytes before the next line that is the separator; all where there is none.
  [[nodiscard]] std::size_t up_to_separator(std::string_view text) const {
    for (std::size_t at = 0; (at = text.find(options_.separator, at)) != text.npos; ++at) {
      const std::string_view behind = text.substr(at + options_.separator.size());
      const bool begins = at == 0 || text[at - 1] == '\n';
      if (begins && (behind.empty() || behind.starts_with('\n') || behind.starts_with("\r\n"))) return at;
    }
    return text.size();
  }

  void end_document() {
    if (separator_) file_.append({&*separator_, 1});
  }

  /// `pages`: of a text that is a part of them.
  void encode(std::string_view text, ReadOnce* pages) {
    text_bytes_ += text.size();
    for (std::size_t at = 0; at < text.size();) {
      at = tokenizer_.encode_piece(text, at, ids_);
      file_.append(ids_);
      ids_.clear();
      if (pages != nullptr) pages->passed(text.data() + at);
    }
  }

  const Tokenizer& tokenizer_;
  const DocumentOptions& options_;
  std::optional<std::int32_t> separator_;
  TokenFileWriter file_;
  std::vector<std::int32_t> ids_;
  std::uint64_t text_bytes_ = 0;
};

bool has_json_lines(std::filesystem::path path) {
  if (path.extension() == ".zst") path.replace_extension();
  return path.extension() == ".jsonl";
}

}  // namespace

std::uint64_t hash_of(const Tokenizer& tokenizer) {
  const std::uint64_t name = fnv_extend(fnv_extend(fnv_of_nothing, tokenizer.name()), std::string_view("\n"));
  return fnv_extend(name, tokenizer.serialised());
}

TokenStream load_tokens(const std::filesystem::path& path, const Tokenizer& tokenizer) {
  if (!TokenFile::is_one(MappedFile(path).bytes())) return TokenStream::from_text(map_text(path), tokenizer);
  TokenFile file(path);
  const TokenFileHeader header = file.header();
  if (header.tokenizer != hash_of(tokenizer) ||
      header.vocab_size != static_cast<std::uint64_t>(tokenizer.vocab_size())) {
    throw Error(ErrorId::config_inconsistent, "load_tokens", path.string(),
                fmt::format("ids of the tokenizer {} with {} tokens", tokenizer.name(), tokenizer.vocab_size()),
                fmt::format("those of another one, with {} tokens", header.vocab_size));
  }
  const auto ids = file.ids();
  return TokenStream::from_mapped(file.release(), ids, tokenizer, header.text_bytes, header.ids);
}

TokenFileHeader write_token_file(const std::vector<std::filesystem::path>& texts, const std::filesystem::path& out,
                                 const Tokenizer& tokenizer, const DocumentOptions& options) {
  Writer writer(out, tokenizer, options);
  for (const std::filesystem::path& path : texts) {
    const MappedMemory text = map_text(path);
    if (TokenFile::is_one(text.bytes())) {
      throw Error(ErrorId::config_invalid, "write_token_file", path.string(), "a text", "token ids");
    }
    if (has_json_lines(path)) {
      writer.add_json_lines(text, path);
    } else {
      writer.add_text(text);
    }
  }
  return writer.finish(out);
}

}  // namespace binllm
