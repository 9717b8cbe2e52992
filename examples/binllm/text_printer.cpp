// SPDX-License-Identifier: MIT
#include "text_printer.hpp"

#include <cstdio>

namespace program {

bool TextPrinter::on_begin(binllm::Index sequence, std::string_view prompt) {
  if (!noting_) noting_.emplace();
  if (interrupted()) return false;
  Page& page = pages_[static_cast<std::size_t>(sequence)];
  page.begun = true;
  page.waiting = prompt;
  return show();
}

bool TextPrinter::on_text(binllm::Index sequence, std::string_view piece) {
  pages_[static_cast<std::size_t>(sequence)].waiting += piece;
  return show() && !interrupted();
}

void TextPrinter::on_end(binllm::Index sequence, binllm::FinishReason) {
  Page& page = pages_[static_cast<std::size_t>(sequence)];
  page.ended = true;
  if (page.begun) page.waiting += '\n';
  static_cast<void>(show());
}

bool TextPrinter::show() {
  for (; shown_ && turn_ < pages_.size(); ++turn_) {
    Page& page = pages_[turn_];
    if (!page.ended && (!live_ || !page.begun)) break;
    if (page.begun && printed_ == turn_) {
      if (turn_ > 0) std::fputc('\n', stdout);
      ++printed_;
    }
    std::fwrite(page.waiting.data(), 1, page.waiting.size(), stdout);
    page.waiting.clear();
    if (!page.ended) break;
  }
  return !shown_ || (std::fflush(stdout) == 0 && std::ferror(stdout) == 0);
}

}  // namespace program
