// SPDX-License-Identifier: MIT
/// A conversation with a model that was trained to chat.
///
///   Conversation talk(AnyModel::open(folder).decoder(), tokenizer, read_chat_template(folder), {.max_tokens = 256});
///   fmt::print("{}\n", talk.say("Why is the sky blue?").text.continuation);
#pragma once
#include <binllm/infer/any_decoder.hpp>
#include <binllm/infer/texts.hpp>
#include <binllm/tokenizer/chat_template.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// What a model answered; `text.prompt` is empty, its `prompt_tokens` are those that were read for this answer.
struct Answer {
  GeneratedText text;
  GenerationStatistics statistics;
};

/// Turns of a user and answers of a model. What both have said stays in the decoder's key-value cache, so a turn costs
/// what is new in it, however long the conversation is: the end of the last answer, the message, and its markers.
class Conversation {
 public:
  /// `options` are those of each answer; `system` stands in place of the template's own. Errors: config_inconsistent for
  /// a tokenizer without the template's markers; option_out_of_range.
  Conversation(AnyDecoderPointer decoder, Tokenizer tokenizer, ChatTemplate form, const GenerateOptions& options = {},
               std::optional<std::string> system = {})
      : decoder_(std::move(decoder)),
        tokenizer_(std::move(tokenizer)),
        form_(std::move(form)),
        system_(std::move(system)),
        options_((options.check(), detail::with_tokenizer(options, tokenizer_, decoder_->config()))) {
    // An answer is over where the model ends its turn, and also where it would speak for somebody else.
    for (const std::string_view marker : {form_.markers.end_of_turn, form_.markers.before_role})
      options_.end_tokens.push_back(marker_token(tokenizer_, form_, marker));
  }

  /// The model's answer to a message, which `receiver` hears while it is made, as sequence 0. Where the answer ends before
  /// the model has ended it (GeneratedText::finish), what there is of it stays said.
  /// Errors: index_out_of_range where the conversation with the message is longer than the decoder's capacity;
  /// value_not_finite (logits). The conversation is then as it was before.
  Answer say(std::string_view message, TextReceiver* receiver = nullptr) {
    const std::string read = (ids_.empty() ? form_.begin_conversation(system_) : form_.end()) +
                             form_.turn("user", message) + form_.begin_answer();
    std::vector<std::int32_t> ids = ids_;
    const std::vector<std::int32_t> added = tokenizer_.encode(read);
    ids.insert(ids.end(), added.begin(), added.end());
    if (std::ssize(ids) > decoder_->capacity())
      throw Error(ErrorId::index_out_of_range, "chat", "conversation",
                  fmt::format("at most {} tokens", decoder_->capacity()), fmt::format("{}", ids.size()));
    const Index before = decoder_->length();
    // The receiver hears answers alone: a prompt of no tokens, whose text is empty.
    const std::vector<std::vector<std::int32_t>> nothing(1);
    detail::TextWriter writer(tokenizer_, nothing, options_.stop, receiver);
    try {
      GeneratedTokens made = decoder_->generate(std::move(ids), options_, &writer);
      ids_ = std::move(made.sequences.front().tokens);
      Answer answer{std::move(writer.texts(made.statistics).texts.front()), made.statistics};
      answer.text.prompt_tokens = made.statistics.prompt_tokens;
      return answer;
    } catch (...) {
      decoder_->keep(before);
      throw;
    }
  }

  /// Begins afresh.
  void restart() {
    ids_.clear();
    decoder_->keep(0);
  }
  /// Tokens of the conversation so far, and at most.
  [[nodiscard]] Index length() const { return std::ssize(ids_); }
  [[nodiscard]] Index capacity() const { return decoder_->capacity(); }
  [[nodiscard]] const std::vector<std::int32_t>& tokens() const noexcept { return ids_; }

 private:
  AnyDecoderPointer decoder_;
  Tokenizer tokenizer_;
  ChatTemplate form_;
  std::optional<std::string> system_;
  GenerateOptions options_;
  std::vector<std::int32_t> ids_;  ///< all that was said; the decoder may not have read the last one yet
};

}  // namespace binllm
