// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/tokenizer/byte_pair/pattern.hpp>

#include <array>
#include <new>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace binllm::detail {
namespace {

// Letters, marks, digits and numbers that Unicode 15 to 16 added; PCRE2 10.42 knows those of Unicode 14.
constexpr std::string_view newer_letters =
    R"(\x{1C89}-\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65}\x{10D6F}-\x{10D85})"
    R"(\x{10EC2}-\x{10EC4}\x{1123F}-\x{11240}\x{11380}-\x{11389}\x{1138B}\x{1138E}\x{11390}-\x{113B5}\x{113B7})"
    R"(\x{113D1}\x{113D3}\x{11BC0}-\x{11BE0}\x{11F02}\x{11F04}-\x{11F10}\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446})"
    R"(\x{13460}-\x{143FA}\x{16100}-\x{1611D}\x{16D40}-\x{16D6C}\x{18CFF}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A})"
    R"(\x{1E030}-\x{1E06D}\x{1E4D0}-\x{1E4EB}\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";
constexpr std::string_view newer_marks =
    R"(\x{897}\x{CF3}\x{ECE}\x{10D69}-\x{10D6D}\x{10EFC}-\x{10EFF}\x{11241}\x{113B8}-\x{113C0}\x{113C2}\x{113C5})"
    R"(\x{113C7}-\x{113CA}\x{113CC}-\x{113D0}\x{113D2}\x{113E1}-\x{113E2}\x{11F00}-\x{11F01}\x{11F03})"
    R"(\x{11F34}-\x{11F3A}\x{11F3E}-\x{11F42}\x{11F5A}\x{13440}\x{13447}-\x{13455}\x{1611E}-\x{1612F}\x{1E08F})"
    R"(\x{1E4EC}-\x{1E4EF}\x{1E5EE}-\x{1E5EF})";
constexpr std::string_view newer_digits =
    R"(\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59}\x{16130}-\x{16139})"
    R"(\x{16D70}-\x{16D79}\x{1CCF0}-\x{1CCF9}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";
constexpr std::string_view other_newer_numbers = R"(\x{1D2C0}-\x{1D2D3})";
// White_Space; PCRE2's \s also has U+180E.
constexpr std::string_view blanks =
    R"(\x{09}-\x{0D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

[[noreturn]] void refuse(std::string_view expression, std::string_view wanted, std::string_view found) {
  throw Error(ErrorId::tokenizer_invalid, "byte_pair_tokenizer", fmt::format("pattern {}", expression.substr(0, 256)),
              wanted, found);
}

/// The members of a class of characters that are written out, and how many letters the escape has.
struct Escape {
  std::string members;
  std::size_t length = 0;
  bool negated = false;
};

/// Of `rest`, which begins behind a backslash.
Escape read_escape(std::string_view expression, std::string_view rest) {
  if (rest.empty()) refuse(expression, "a character behind a backslash", "none");
  if (rest.starts_with('s')) return {std::string(blanks), 1};
  if (rest.starts_with('S')) return {std::string(blanks), 1, true};
  if (rest.starts_with('d')) return {fmt::format("\\d{}", newer_digits), 1};
  const std::pair<std::string_view, std::string> extended[] = {
      {"{L}", std::string(newer_letters)},
      {"{M}", std::string(newer_marks)},
      {"{Nd}", std::string(newer_digits)},
      {"{N}", fmt::format("{}{}", newer_digits, other_newer_numbers)}};
  for (const auto& [name, more] : extended) {
    if (rest.substr(1).starts_with(name) && (rest[0] == 'p' || rest[0] == 'P')) {
      return {fmt::format("\\p{}{}", name, more), 1 + name.size(), rest[0] == 'P'};
    }
  }
  // Letters that both libraries take for the same.
  constexpr std::string_view common = "pPDrntfaex";
  const bool alphanumeric =
      (rest[0] >= '0' && rest[0] <= '9') || (rest[0] >= 'A' && rest[0] <= 'Z') || (rest[0] >= 'a' && rest[0] <= 'z');
  if (alphanumeric && common.find(rest[0]) == common.npos) {
    refuse(expression, "escapes among \\s \\S \\p \\P \\d \\D \\r \\n \\t \\f \\a \\e \\x",
           fmt::format("\\{}", rest[0]));
  }
  return {};
}

/// The expression in PCRE2's syntax. Classes are the same in both but for the characters that they know.
std::string translate(std::string_view expression) {
  std::string result;
  bool in_class = false;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '\\') {
      const Escape escape = read_escape(expression, expression.substr(i + 1));
      if (escape.length == 0) {
        result.append(expression.substr(i, 2));
        ++i;
        continue;
      }
      i += escape.length;
      if (in_class && escape.negated) refuse(expression, "no \\S, \\P{L}, \\P{M} or \\P{N} inside brackets", "one");
      result += in_class ? escape.members : fmt::format("[{}{}]", escape.negated ? "^" : "", escape.members);
      continue;
    }
    if (in_class && (c == '[' || expression.substr(i).starts_with("&&"))) {
      refuse(expression, "no classes inside classes", std::string(expression.substr(i, 2)));
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    result.push_back(c);
  }
  return result;
}

}  // namespace

void MatchMemory::Release::operator()(pcre2_real_match_data_8* data) const noexcept { pcre2_match_data_free_8(data); }
void Pattern::Release::operator()(pcre2_real_code_8* code) const noexcept { pcre2_code_free_8(code); }

MatchMemory::MatchMemory() : data_(pcre2_match_data_create_8(1, nullptr)) {
  if (!data_) throw std::bad_alloc();
}

Pattern::Pattern(std::string_view expression) : expression_(expression) {
  const std::string text = translate(expression);
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                            context.get()));
  if (!code_) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    refuse(expression_, "a regular expression", reinterpret_cast<const char*>(message.data()));
  }
  compiled_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0;
}

bool Pattern::find(std::string_view text, std::size_t from, PatternMatch& match, MatchMemory& memory) const {
  const auto run = compiled_ ? &pcre2_jit_match : &pcre2_match;
  const int count = run(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, PCRE2_NO_UTF_CHECK,
                        memory.data_.get(), nullptr);
  if (count == PCRE2_ERROR_NOMATCH) return false;
  if (count < 0) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(count, message.data(), message.size());
    refuse(expression_, "a search that ends", reinterpret_cast<const char*>(message.data()));
  }
  const PCRE2_SIZE* const found = pcre2_get_ovector_pointer(memory.data_.get());
  match = {found[0], found[1]};
  return true;
}

}  // namespace binllm::detail
