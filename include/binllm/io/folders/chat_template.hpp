// SPDX-License-Identifier: MIT
/// The chat template of a model folder or GGUF file.
#pragma once
#include <binllm/tokenizer/chat_template.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace binllm {

/// The file of a folder that has nothing but the template, and counts before "chat_template" of tokenizer_config.json.
inline constexpr std::string_view chat_template_file = "chat_template.jinja";

/// A template in Jinja as a model has it: of a folder chat_template.jinja, else "chat_template" of tokenizer_config.json
/// (of several the one that is named "default"); of a GGUF file "tokenizer.chat_template". Nothing where there is none.
/// Errors: file_unreadable, config_invalid (no JSON, or no text there), those of GgufFile.
[[nodiscard]] std::optional<std::string> chat_template_text(const std::filesystem::path& model);

/// The form that a template in Jinja writes. It is recognised by its text, not run: one that prints turns as ChatML or
/// Llama 3 have them, with or without a system turn of its own, and has no markers or conditions beyond those. `bos` is
/// what it means by bos_token, `today` ("28 Nov 2026"; empty: today) what one prints that asks for the date. Tools, which such
/// templates also tell of, are not looked at. Errors: unknown_name for all others, by what they look like and their first
/// words; `from` is the argument.
[[nodiscard]] ChatTemplate recognise_chat_template(std::string_view jinja, std::string_view bos, std::string_view from,
                                                   std::string_view today = {});

/// The form of a model. Errors: file_missing for a model that has no template; as above.
[[nodiscard]] ChatTemplate read_chat_template(const std::filesystem::path& model);

}  // namespace binllm
