// SPDX-License-Identifier: MIT
/// Texts out of the tokens of several sequences, while these are made.
#pragma once
#include <binllm/infer/generation.hpp>
#include <binllm/infer/text_stream.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// The ids of a prompt. Where the tokenizer opens streams with BOS, so does the prompt.
[[nodiscard]] inline std::vector<std::int32_t> encode_prompt(const Tokenizer& tokenizer, std::string_view prompt) {
  std::vector<std::int32_t> ids;
  if (const auto bos = tokenizer.bos()) ids.push_back(*bos);
  const std::vector<std::int32_t> text = tokenizer.encode(prompt);
  ids.insert(ids.end(), text.begin(), text.end());
  return ids;
}

namespace detail {

/// What a tokenizer adds to the options.
[[nodiscard]] inline GenerateOptions with_tokenizer(GenerateOptions options, const Tokenizer& tokenizer,
                                                    const ModelConfig& config) {
  const auto eos = tokenizer.eos();
  if (config.eos_token_ids.empty() && eos) options.end_tokens.push_back(*eos);
  if (options.choosable == 0 || options.choosable > tokenizer.vocab_size()) options.choosable = tokenizer.vocab_size();
  const auto holes = tokenizer.without_piece();
  options.never.insert(options.never.end(), holes.begin(), holes.end());
  return options;
}

/// Turns tokens into text, and text into an end where a stop string comes.
class TextWriter final : public TokenReceiver {
 public:
  TextWriter(const Tokenizer& tokenizer, const std::vector<std::vector<std::int32_t>>& prompts,
             const std::vector<std::string>& stop, TextReceiver* receiver)
      : prompts_(prompts),
        receiver_(receiver),
        lines_(prompts.size(), Line{TextStream(tokenizer), StopStrings(stop), {}, true}) {}

  [[nodiscard]] bool on_begin(Index sequence) override {
    Line& line = at(sequence);
    const auto& prompt = prompts_[static_cast<std::size_t>(sequence)];
    line.text.prompt = line.stream.add(prompt);
    line.text.prompt_tokens = std::ssize(prompt);
    return line.wanted = receiver_ == nullptr || receiver_->on_begin(sequence, line.text.prompt);
  }
  [[nodiscard]] bool on_token(Index sequence, std::int32_t token) override {
    Line& line = at(sequence);
    ++line.text.continuation_tokens;
    const bool wanted = write(sequence, line.stops.add(line.stream.add(token)));
    return wanted && !line.stops.stopped();
  }
  void on_end(Index sequence, FinishReason reason) override {
    Line& line = at(sequence);
    line.text.finish = reason;
    if (!line.stops.stopped()) {
      std::string rest = line.stops.add(line.stream.finish());
      if (line.stops.stopped())
        line.text.finish = FinishReason::stopped;
      else
        rest += line.stops.finish();
      if (!rest.empty()) static_cast<void>(write(sequence, rest));
    }
    if (receiver_ != nullptr) receiver_->on_end(sequence, line.text.finish);
  }
  /// Leaves the writer empty.
  [[nodiscard]] GeneratedTexts texts(const GenerationStatistics& statistics) {
    GeneratedTexts made{{}, statistics};
    for (Line& line : lines_) made.texts.push_back(std::move(line.text));
    return made;
  }

 private:
  struct Line {
    TextStream stream;
    StopStrings stops;
    GeneratedText text;
    bool wanted = true;  ///< by the receiver: once it has said no, it hears no more text
  };
  [[nodiscard]] Line& at(Index sequence) { return lines_[static_cast<std::size_t>(sequence)]; }
  [[nodiscard]] bool write(Index sequence, const std::string& piece) {
    Line& line = at(sequence);
    line.text.continuation += piece;
    if (line.wanted && receiver_ != nullptr) line.wanted = receiver_->on_text(sequence, piece);
    return line.wanted;
  }

  const std::vector<std::vector<std::int32_t>>& prompts_;
  TextReceiver* receiver_;
  std::vector<Line> lines_;
};

}  // namespace detail
}  // namespace binllm
