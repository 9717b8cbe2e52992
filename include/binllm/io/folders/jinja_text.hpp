// SPDX-License-Identifier: MIT
/// The source of a Jinja template in one spelling, to be compared with sources that are known. Nothing is evaluated.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace binllm::detail {

/// A template as `transformers` reads it (trim_blocks, lstrip_blocks), so that templates which say the same in other
/// spellings look alike:
/// - comments and blanks outside texts are gone: `{%for message in messages%}`;
/// - texts stand in single quotes, as the characters that they mean, and `a['b']` is `a.b`;
/// - what is printed one after the other is one output, what stands outside of tags included: of `<s>{{ a + "b" }}{{ 'c' }}`
///   comes `{{'<s>'+a+'bc'}}`.
/// Nothing for what is no template: a tag or a text that does not end, or one with `raw`.
[[nodiscard]] std::optional<std::string> in_one_spelling(std::string_view jinja);

}  // namespace binllm::detail
