// SPDX-License-Identifier: MIT
#include "text_printer.hpp"

#include <csignal>
#include <cstdio>

namespace program {

namespace {

volatile std::sig_atomic_t noted = 0;

struct sigaction action_of(void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  return action;
}

/// From here on the first SIGINT is only noted; a second one ends the program at once.
void note_interruption() {
  struct sigaction before {};
  sigaction(SIGINT, nullptr, &before);
  if (before.sa_handler == SIG_IGN) return;  // as of jobs that a script runs in the background
  const auto action = action_of([](int) { noted = 1; }, SA_RESTART | static_cast<int>(SA_RESETHAND));
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

bool interrupted() noexcept { return noted != 0; }

void pass_interruption_on() {
  if (!interrupted()) return;
  std::fflush(nullptr);
  std::raise(SIGINT);  // the handler has reset itself
}

bool TextPrinter::on_begin(binllm::Index sequence, std::string_view prompt) {
  if (!listening_) note_interruption();
  listening_ = true;
  if (interrupted()) return false;
  Page& page = pages_[static_cast<std::size_t>(sequence)];
  page.begun = true;
  page.waiting = prompt;
  show();
  return true;
}

bool TextPrinter::on_text(binllm::Index sequence, std::string_view piece) {
  pages_[static_cast<std::size_t>(sequence)].waiting += piece;
  show();
  return !interrupted();
}

void TextPrinter::on_end(binllm::Index sequence, binllm::FinishReason) {
  Page& page = pages_[static_cast<std::size_t>(sequence)];
  page.ended = true;
  if (page.begun) page.waiting += '\n';
  show();
}

void TextPrinter::show() {
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
  if (shown_) std::fflush(stdout);
}

}  // namespace program
