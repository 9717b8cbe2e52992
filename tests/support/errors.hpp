// SPDX-License-Identifier: MIT
/// The id of the error that an action ends in.
#pragma once
#include <binllm/core/error.hpp>

#include <doctest/doctest.h>

namespace binllm::test {

template <class Action>
ErrorId id_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.id();
  }
  FAIL("no error was thrown");
  return {};
}

}  // namespace binllm::test
