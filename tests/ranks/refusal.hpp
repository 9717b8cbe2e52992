// SPDX-License-Identifier: MIT
#pragma once
#include <binllm/core/error.hpp>

#include <string>
#include <string_view>

namespace binllm::test {

/// Whether an action ends in an error of this id whose text holds the word.
template <class Action>
bool refuses(ErrorId id, std::string_view word, const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.id() == id && std::string_view(error.what()).find(word) != std::string_view::npos;
  }
  return false;
}

}  // namespace binllm::test
