// SPDX-License-Identifier: MIT
/// Generated texts on standard output, until they are complete or somebody presses Ctrl-C.
#pragma once
#include "interruption.hpp"

#include <binllm/infer/texts.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace program {

/// Prints texts in the order of their prompts, each with a line end, an empty line between two. The first that has not
/// ended is shown as it is made; what others make meanwhile waits for its turn. A signal ends all of them, and so does a
/// reader who has gone. Until the first text begins, and after the first signal, a signal ends the program at once.
class TextPrinter final : public binllm::TextReceiver {
 public:
  /// `live`: a piece at a time, else text by text. `shown` false: nothing.
  TextPrinter(std::size_t texts, bool live, bool shown) : pages_(texts), live_(live), shown_(shown) {}

  [[nodiscard]] bool on_begin(binllm::Index sequence, std::string_view prompt) override;
  [[nodiscard]] bool on_text(binllm::Index sequence, std::string_view piece) override;
  void on_end(binllm::Index sequence, binllm::FinishReason reason) override;

 private:
  struct Page {
    std::string waiting;
    bool begun = false, ended = false;
  };
  /// Whether what was to be written could be.
  [[nodiscard]] bool show();

  std::vector<Page> pages_;
  std::size_t turn_ = 0, printed_ = 0;
  bool live_, shown_;
  std::optional<NotedSignals> noting_;
};

}  // namespace program
