// SPDX-License-Identifier: MIT
#include <binllm/tokenizer/byte_pair.hpp>
#include <binllm/tokenizer/byte_pair/word_cutter.hpp>

namespace binllm {
namespace {

struct NamedRules {
  std::string_view name;
  bool nfc;
  bool digits;               ///< each digit is a word
  std::string_view pattern;  ///< besides GPT-2's; empty for that one
  bool ignore_merges;
};

constexpr std::string_view of_gpt2;
constexpr NamedRules named_rules[] = {
    {"gpt-2", false, false, of_gpt2, false},
    {"phi-2", false, false, of_gpt2, false},
    {"olmo", true, false, of_gpt2, false},  // what llama.cpp's converter calls GPT-NeoX and Pythia too
    {"gpt-neox", true, false, of_gpt2, false},
    {"mpt", true, false, of_gpt2, false},
    {"smollm", false, true, of_gpt2, false},
    {"starcoder", false, true, of_gpt2, false},
    {"refact", false, true, of_gpt2, false},
    {"codeshell", false, true, of_gpt2, false},
    {"llama-bpe", false, false, detail::llama3_pattern, true},
    {"llama3", false, false, detail::llama3_pattern, true},
    {"llama-v3", false, false, detail::llama3_pattern, true},
    {"smaug-bpe", false, false, detail::llama3_pattern, false},
    {"dbrx", false, false, detail::llama3_pattern, false},
    {"qwen2", true, false, detail::qwen2_pattern, false},
    {"deepseek-r1-qwen", true, false, detail::qwen2_pattern, false},
    {"stablelm2", true, false, detail::qwen2_pattern, false},
};

WordRules rules_of(const NamedRules& named) {
  WordRules rules{.nfc = named.nfc, .steps = {}, .ignore_merges = named.ignore_merges};
  if (named.digits) rules.steps.push_back(DigitsStep{.individual = true});
  if (!named.pattern.empty()) rules.steps.push_back(SplitStep{.pattern = std::string(named.pattern)});
  rules.steps.push_back(ByteLevelStep{.add_prefix_space = false, .use_regex = named.pattern.empty()});
  return rules;
}

}  // namespace

WordRules word_rules(std::string_view llama_cpp_name) {
  std::string names;
  for (const NamedRules& known : named_rules) {
    names += (names.empty() ? "one of " : ", ") + std::string(known.name);
    if (known.name == llama_cpp_name) return rules_of(known);
  }
  throw Error(ErrorId::unknown_name, "word_rules", "tokenizer.ggml.pre", names, llama_cpp_name.substr(0, 64));
}

std::optional<std::string_view> llama_cpp_name(const WordRules& rules) {
  for (const NamedRules& known : named_rules) {
    if (rules_of(known) == rules) return known.name;
  }
  return std::nullopt;
}

}  // namespace binllm
