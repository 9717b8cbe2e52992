// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "decoding.hpp"
#include "interruption.hpp"

#include <binllm/infer/conversation.hpp>
#include <binllm/io/folders/chat_template.hpp>

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace program {

namespace {

struct ChatFlags {
  ChosenModel model;
  std::string system, chat_template;
  DecodingFlags decoding{{.max_tokens = 512}};
  std::string tokenizer;
  DeviceChoice device;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("model", self.model, "", any);
    v("system", self.system, "what the model is told before the conversation", shown_as("the template's"));
    Flag forms = shown_as("the model's");
    for (const binllm::ChatMarkers& known : binllm::chat_markers) forms.one_of.emplace_back(known.name);
    v("template", self.chat_template, "form of the conversation: chatml or llama-3", forms);
    v("max_tokens", self.decoding.options.max_tokens, "tokens of an answer at most", at_least(1));
    v("decoding", self.decoding, "", any);
    v("context", self.decoding.options.context,
      "tokens that a conversation may have; 0: 4096, or the model's positions if they are fewer", at_least(0));
    v("tokenizer", self.tokenizer, other_tokenizer, any);
    v("device", self.device, "", any);
    v("common", self.common, "", any);
  }
  void refuse_idle(const GivenFlags& given) const { decoding.refuse_idle(given); }
};

constexpr const char* commands = "/reset begins afresh, /quit ends";

/// What the user says, a line at a time; one that ends in a backslash goes on in the next.
class Messages {
 public:
  /// Nothing at the end of the input. Errors: option_out_of_range for one that fits into no context.
  [[nodiscard]] std::optional<std::string> next() {
    std::string message;
    for (std::string_view sign = "> ";; sign = ". ") {
      if (from_terminal_) fmt::print(stderr, "{}", sign);
      const auto line = read_line();
      if (!line) return message.empty() ? std::nullopt : std::optional(std::move(message));
      message += *line;
      if (!message.ends_with('\\')) return message;
      message.back() = '\n';
    }
  }
  [[nodiscard]] bool from_terminal() const noexcept { return from_terminal_; }

 private:
  [[nodiscard]] static std::optional<std::string> read_line() {
    constexpr std::size_t most_bytes = std::size_t{1} << 24;
    std::string line;
    int c = 0;
    while ((c = std::getc(stdin)) != EOF && c != '\n') {
      line += static_cast<char>(c);
      if (line.size() <= most_bytes) continue;
      throw binllm::Error(binllm::ErrorId::option_out_of_range, "chat", "standard input",
                          fmt::format("lines of at most {} bytes", most_bytes), "a longer one");
    }
    if (line.ends_with('\r')) line.pop_back();
    return c == EOF && line.empty() ? std::nullopt : std::optional(std::move(line));
  }

  bool from_terminal_ = ::isatty(STDIN_FILENO) != 0;
};

/// An answer on standard output while it is made, until somebody presses Ctrl-C.
class AnswerPrinter final : public binllm::TextReceiver {
 public:
  explicit AnswerPrinter(bool shown) : shown_(shown) {}
  [[nodiscard]] bool on_text(binllm::Index, std::string_view piece) override {
    if (shown_) std::fwrite(piece.data(), 1, piece.size(), stdout);
    if (shown_) std::fflush(stdout);
    return !interrupted() && std::ferror(stdout) == 0;
  }

 private:
  bool shown_;
};

/// Why an answer is shorter than the model would have it; empty where it is not.
std::string reason(const binllm::Answer& answer, const binllm::Conversation& talk, bool stopped) {
  if (stopped) return "stopped";
  if (answer.text.finish == binllm::FinishReason::max_tokens)
    return fmt::format("{} tokens, as many as --max-tokens allows", answer.text.continuation_tokens);
  if (answer.text.finish == binllm::FinishReason::last_position)
    return fmt::format("the context of {} tokens is full: {}", talk.capacity(), commands);
  return {};
}

void print_json(const std::string& message, const binllm::Answer& answer, const binllm::Conversation& talk) {
  const Json line{{"message", message},
                  {"answer", answer.text.continuation},
                  {"read_tokens", answer.text.prompt_tokens},
                  {"generated_tokens", answer.text.continuation_tokens},
                  {"conversation_tokens", talk.length()},
                  {"finish", to_string(answer.text.finish)}};
  fmt::print("{}\n", line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void answer(binllm::Conversation& talk, const std::string& message, bool json) {
  AnswerPrinter printer(!json);
  std::optional<NotedSignals> noting(std::in_place, std::initializer_list<int>{SIGINT});
  const binllm::Answer made = talk.say(message, &printer);
  noting.reset();
  const bool stopped = interrupted();
  forget_interruption();
  json ? print_json(message, made, talk) : fmt::print("\n");
  std::fflush(stdout);
  if (const std::string why = reason(made, talk, stopped); !why.empty()) fmt::print(stderr, "[{}]\n", why);
}

void chat(ChatFlags& flags) {
  flags.common.apply();
  flags.device.apply();
  flags.model.refuse_idle(flags.common.given);
  binllm::GenerateOptions options = flags.decoding.chosen(flags.common.seed);
  binllm::check_model_path(flags.model.model);
  const auto form = flags.chat_template.empty() ? binllm::read_chat_template(flags.model.model)
                                                : binllm::ChatTemplate::named(flags.chat_template);
  const auto tokenizer = choose_tokenizer(flags.tokenizer, flags.model.model);
  auto model = flags.model.open(flags.device);
  if (options.context == 0) options.context = std::min<binllm::Index>(4096, model.config().max_position_embeddings);
  const auto system = flags.common.given.has("system") ? std::optional(flags.system) : std::nullopt;
  binllm::Conversation talk(std::move(model).decoder(options), tokenizer, form, options, system);
  Messages messages;
  if (messages.from_terminal()) {
    fmt::print(stderr, "{}: {}, {} tokens. {}; Ctrl-C stops an answer.\n", flags.model.model.string(),
               form.markers.name, talk.capacity(), commands);
  }
  while (const auto message = messages.next()) {
    if (*message == "/quit") return;
    if (message->empty()) continue;
    if (*message == "/reset") {
      talk.restart();
    } else if (message->starts_with('/')) {
      fmt::print(stderr, "[no such command: {}]\n", commands);
    } else {
      try {
        answer(talk, *message, flags.common.json);
        if (std::ferror(stdout) != 0) return;  // nobody reads
      } catch (const binllm::Error& error) {
        // Somebody at a terminal can begin afresh, or say it in fewer words.
        if (error.id() != binllm::ErrorId::index_out_of_range || !messages.from_terminal()) throw;
        forget_interruption();
        fmt::print(stderr, "[the message does not fit: {}, found {}; {}]\n", error.wanted(), error.found(), commands);
      }
    }
  }
}

}  // namespace

void add_chat(CLI::App& app, std::string& list) {
  add_command(app, list, "chat", "talk with a model that was trained to chat", chat);
}

}  // namespace program
