// SPDX-License-Identifier: MIT
#include <binllm/io/folders/jinja_text.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace binllm::detail {
namespace {

constexpr std::string_view blanks = " \t\n\r\f\v";

bool is_blank(char c) { return blanks.find(c) != blanks.npos; }
bool is_word(char c) { return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_name(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_word); }

/// A text between quotes, or one character or word of code.
struct Part {
  bool is_text;
  std::string characters;
};
using Parts = std::vector<Part>;

/// Where the quoted text ends that begins at `at`, or npos; appends it.
std::size_t read_text(std::string_view code, std::size_t at, Parts& parts) {
  Part text{true, {}};
  const char quote = code[at++];
  for (; at < code.size() && code[at] != quote; ++at) {
    if (code[at] != '\\') {
      text.characters += code[at];
    } else if (++at < code.size()) {
      constexpr std::string_view letters = "ntr", meant = "\n\t\r";
      const std::size_t which = letters.find(code[at]);
      if (which != letters.npos) {
        text.characters += meant[which];
      } else if (code[at] == '\\' || code[at] == '\'' || code[at] == '"') {
        text.characters += code[at];
      } else {
        text.characters += {'\\', code[at]};
      }
    }
  }
  parts.push_back(std::move(text));
  return at < code.size() ? at + 1 : code.npos;
}

/// The parts of the code up to `end`, such as "}}"; where it ends, or npos.
std::size_t read_code(std::string_view source, std::size_t at, std::string_view end, Parts& parts) {
  while (at < source.size()) {
    if (source.substr(at).starts_with(end)) return at;
    if (source[at] == '\'' || source[at] == '"') {
      at = read_text(source, at, parts);
    } else if (is_word(source[at])) {
      std::size_t behind = at;
      while (behind < source.size() && is_word(source[behind])) ++behind;
      parts.push_back({false, std::string(source.substr(at, behind - at))});
      at = behind;
    } else {
      if (!is_blank(source[at])) parts.push_back({false, std::string(1, source[at])});
      ++at;
    }
  }
  return source.npos;
}

bool is_code(const Part& part, std::string_view characters) { return !part.is_text && part.characters == characters; }

/// a['b'] as a.b, and texts that are added as one.
Parts simplified(const Parts& parts) {
  Parts simple;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t size = simple.size();
    const bool is_index = size > 0 && !simple.back().is_text && is_word(simple.back().characters.back()) &&
                          i + 2 < parts.size() && is_code(parts[i], "[") && parts[i + 1].is_text &&
                          is_name(parts[i + 1].characters) && is_code(parts[i + 2], "]");
    if (is_index) {
      simple.push_back({false, "."});
      simple.push_back({false, parts[i += 1].characters});
      ++i;
    } else if (parts[i].is_text && size > 1 && is_code(simple[size - 1], "+") && simple[size - 2].is_text) {
      simple.pop_back();
      simple.back().characters += parts[i].characters;
    } else {
      simple.push_back(parts[i]);
    }
  }
  return simple;
}

/// Texts in quotes; a blank where two words would become one.
std::string written(const Parts& parts) {
  std::string all;
  for (const Part& part : simplified(parts)) {
    if (part.is_text) {
      all += '\'' + part.characters + '\'';
    } else {
      if (!all.empty() && is_word(all.back()) && is_word(part.characters.front())) all += ' ';
      all += part.characters;
    }
  }
  return all;
}

class Reader {
 public:
  explicit Reader(std::string_view source) {
    for (std::size_t i = 0; i < source.size(); ++i)
      if (source[i] != '\r' || i + 1 == source.size() || source[i + 1] != '\n') source_ += source[i];
    if (source_.ends_with('\n')) source_.pop_back();
  }
  std::optional<std::string> operator()() {
    const std::string_view source = source_;
    for (std::size_t at = 0;;) {
      std::size_t open = at;
      while (open < source.size() && !is_tag(source.substr(open, 2))) ++open;
      print_outside(source.substr(at, open - at), source.substr(open, 3));
      if (open == source.size()) break;
      const char kind = source[open + 1];
      Parts parts;
      const std::size_t first =
          open + (source.substr(open + 2).starts_with('-') || source.substr(open + 2).starts_with('+') ? 3 : 2);
      const std::string_view end = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
      const std::size_t close = kind == '#' ? source.find(end, first) : read_code(source, first, end, parts);
      if (close == source.npos) return std::nullopt;
      strips_ = source[close - 1] == '-' && close > first;
      if (strips_ && kind != '#') parts.pop_back();
      after_block_ = kind != '{';
      if (kind == '{') print(std::move(parts));
      if (kind == '%') {
        if (!parts.empty() && is_code(parts.front(), "raw")) return std::nullopt;
        flush();
        all_ += "{%" + written(parts) + "%}";
      }
      at = close + 2;
    }
    flush();
    return std::move(all_);
  }

 private:
  static bool is_tag(std::string_view two) { return two == "{{" || two == "{%" || two == "{#"; }

  /// What stands outside of tags, before the tag that begins with `next`, or before the end.
  void print_outside(std::string_view text, std::string_view next) {
    bool at_line_start = all_.empty() && output_.empty();
    if (strips_) {
      text.remove_prefix(std::min(text.size(), text.find_first_not_of(blanks)));
    } else if (after_block_ && text.starts_with('\n')) {
      text.remove_prefix(1);
      at_line_start = true;
    }
    if (next.ends_with('-') && next.size() == 3) {
      text = text.substr(0, text.find_last_not_of(blanks) + 1);
    } else if (next.size() > 1 && next[1] != '{' && !next.ends_with('+')) {
      const std::size_t line = text.rfind('\n') + 1;
      if ((line > 0 || at_line_start) && text.find_first_not_of(" \t", line) == text.npos) text = text.substr(0, line);
    }
    if (!text.empty()) print({{true, std::string(text)}});
  }
  void print(Parts parts) {
    if (!output_.empty() && !parts.empty()) output_.push_back({false, "+"});
    output_.insert(output_.end(), parts.begin(), parts.end());
  }
  void flush() {
    if (!output_.empty()) all_ += "{{" + written(output_) + "}}";
    output_.clear();
  }

  std::string source_, all_;
  Parts output_;  ///< what is printed since the last statement
  bool strips_ = false, after_block_ = false;
};

}  // namespace

std::optional<std::string> in_one_spelling(std::string_view jinja) { return Reader(jinja)(); }

}  // namespace binllm::detail
