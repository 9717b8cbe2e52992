// SPDX-License-Identifier: MIT
#include "../target.hpp"

#include <binllm/io/folders/chat_template.hpp>

namespace binllm::fuzz {
namespace {

/// A template that is recognised writes turns between its markers.
bool run(std::string_view input) {
  try {
    const ChatTemplate form = recognise_chat_template(input, "<s>", "fuzz", "1 Jan 2026");
    const std::string begin = form.begin_conversation({}), turn = form.turn("user", input);
    require(turn.starts_with(form.markers.before_role) && turn.ends_with(form.end()), "a turn stands between markers");
    require(begin.empty() || begin.starts_with(form.opening), "a conversation opens with BOS");
    require(begin.size() < input.size() + 200, "what a template prints stands in it");
    return true;
  } catch (const Error&) {
    return false;
  }
}

const Registered here("chat_template", run);

}  // namespace
}  // namespace binllm::fuzz
