// SPDX-License-Identifier: MIT
/// How a conversation is written down for a model that was trained to chat: turns, each with a role, between markers
/// that are tokens of their own.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace binllm {

/// What stands around a turn: before_role role after_role TEXT end_of_turn after_turn.
struct ChatMarkers {
  std::string_view name, before_role, after_role, end_of_turn, after_turn;
  std::string_view opening;  ///< of the models that the form is named after
  bool trims;                ///< theirs too

  friend bool operator==(const ChatMarkers&, const ChatMarkers&) = default;
};

/// The forms that are known: ChatML (SmolLM2, Qwen2.5 and many others), and that of Llama 3, 3.1, 3.2 and 3.3.
inline constexpr std::array chat_markers{ChatMarkers{"chatml", "<|im_start|>", "\n", "<|im_end|>", "\n", "", false},
                                         ChatMarkers{"llama-3", "<|start_header_id|>", "<|end_header_id|>\n\n",
                                                     "<|eot_id|>", "", "<|begin_of_text|>", true}};

/// A model's form of a conversation: one text, a turn after the other. Nothing that comes later changes what stands
/// before, so a model need not read a conversation again when it goes on.
struct ChatTemplate {
  ChatMarkers markers = chat_markers.front();
  bool trims = false;            ///< blanks around the text of a turn go
  std::string opening{};         ///< what stands before the first turn: the text of the BOS token, or nothing
  std::string before_system{};   ///< opens the system turn, which then always stands there
  std::string default_system{};  ///< the system turn where nobody gives one; empty: none

  /// One of `chat_markers`, as the models have it that it is named after. Errors: unknown_name.
  [[nodiscard]] static ChatTemplate named(std::string_view name);

  /// A whole turn; `role` is "system", "user" or "assistant".
  [[nodiscard]] std::string turn(std::string_view role, std::string_view text) const {
    return begin(role) + std::string(trims ? trimmed(text) : text) + end();
  }
  /// What stands before the first turn of the user.
  [[nodiscard]] std::string begin_conversation(const std::optional<std::string>& system) const {
    const std::string given(trims && system ? trimmed(*system) : system.value_or(default_system));
    const bool has_system = system || !default_system.empty() || !before_system.empty();
    return opening + (has_system ? begin("system") + before_system + given + end() : "");
  }
  /// What the model continues with its answer.
  [[nodiscard]] std::string begin_answer() const { return begin("assistant"); }
  /// What stands behind an answer.
  [[nodiscard]] std::string end() const { return std::string(markers.end_of_turn) + std::string(markers.after_turn); }

  friend bool operator==(const ChatTemplate&, const ChatTemplate&) = default;

 private:
  [[nodiscard]] std::string begin(std::string_view role) const {
    return std::string(markers.before_role) + std::string(role) + std::string(markers.after_role);
  }
  /// As Python's str.strip() does with ASCII.
  [[nodiscard]] static std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\n\r\f\v\x1c\x1d\x1e\x1f";
    const std::size_t first = text.find_first_not_of(blanks);
    return first == text.npos ? std::string_view{} : text.substr(first, text.find_last_not_of(blanks) + 1 - first);
  }
};

inline ChatTemplate ChatTemplate::named(std::string_view name) {
  std::string known;
  for (const ChatMarkers& markers : chat_markers) {
    if (markers.name == name) {
      return {.markers = markers, .trims = markers.trims, .opening = std::string(markers.opening)};
    }
    known += (known.empty() ? "" : ", ") + std::string(markers.name);
  }
  throw Error(ErrorId::unknown_name, "ChatTemplate", "name", known, name.substr(0, 64));
}

/// The token that a marker is. Errors: config_inconsistent for a tokenizer to which it is text as any other.
[[nodiscard]] inline std::int32_t marker_token(const Tokenizer& tokenizer, const ChatTemplate& form,
                                               std::string_view marker) {
  const std::vector<std::int32_t> ids = tokenizer.encode(marker);
  if (ids.size() == 1) return ids.front();
  throw Error(ErrorId::config_inconsistent, "chat", "tokenizer",
              message("{} as one token, which the chat template {} needs", marker, form.markers.name),
              message("{} tokens of {}", ids.size(), tokenizer.name()));
}

}  // namespace binllm
