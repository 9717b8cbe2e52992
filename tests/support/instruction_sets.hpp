// SPDX-License-Identifier: MIT
/// Kernels of every instruction set that this processor has.
#pragma once
#include <binllm/simd/instruction_set.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace binllm::test {

/// Says once a program that a set was not run.
inline void say_not_run(InstructionSet set) {
  static std::set<InstructionSet> said;
  if (said.insert(set).second) MESSAGE("not run here: ", std::string(name_of(set)));
}

/// Calls body() with each in use, one after the other; at the end the one that was in use is in use again.
template <class Body>
void on_each_instruction_set(const Body& body) {
  const InstructionSet at_first = instruction_set();
  for (const InstructionSet set : instruction_sets) {
    if (!is_supported(set)) {
      say_not_run(set);
      continue;
    }
    CAPTURE(std::string(name_of(set)));
    set_instruction_set(set);
    body();
  }
  set_instruction_set(at_first);
}

}  // namespace binllm::test
