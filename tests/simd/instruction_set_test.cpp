// SPDX-License-Identifier: MIT
#include <binllm/simd/instruction_set.hpp>

#include "support/errors.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("every instruction set has a name of its own, and the name finds it") {
  for (const InstructionSet set : instruction_sets) CHECK(instruction_set_named(name_of(set)) == set);
  CHECK(name_of(InstructionSet::plain) == "plain");
  CHECK(name_of(InstructionSet::amx) == "amx");
}

TEST_CASE("an unknown name is refused, and the error lists the known ones") {
  CHECK(id_of([] { (void)instruction_set_named("sse9"); }) == ErrorId::unknown_name);
  CHECK(id_of([] { (void)instruction_set_named(""); }) == ErrorId::unknown_name);
  try {
    (void)instruction_set_named("AVX2");
    FAIL("no error was thrown");
  } catch (const Error& error) {
    const std::string message = error.what();
    for (const InstructionSet set : instruction_sets) CHECK(message.find(name_of(set)) != std::string::npos);
  }
}

TEST_CASE("plain C++ is supported everywhere, and with a set those before it of the same kind of processor") {
  CHECK(is_supported(InstructionSet::plain));
  CHECK(is_supported(best_instruction_set()));
  bool before = true;
  for (const InstructionSet set : instruction_sets) {
    if (!detail::is_of_this_kind(set)) {
      CHECK(!is_supported(set));
      continue;
    }
    CHECK((before || !is_supported(set)));
    before = is_supported(set);
  }
#if defined(__aarch64__)
  CHECK(best_instruction_set() == InstructionSet::neon);
#else
  CHECK(!is_supported(InstructionSet::neon));
#endif
}

TEST_CASE("a set is used once it is set; one that the processor does not have is refused, and the one in use stays") {
  const InstructionSet at_first = instruction_set();
  for (const InstructionSet set : instruction_sets) {
    CAPTURE(name_of(set));
    if (is_supported(set)) {
      set_instruction_set(set);
      CHECK(instruction_set() == set);
    } else {
      const InstructionSet in_use = instruction_set();
      CHECK(id_of([&] { set_instruction_set(set); }) == ErrorId::option_out_of_range);
      CHECK(instruction_set() == in_use);
    }
  }
  set_instruction_set(at_first);
}

TEST_CASE("the environment variable forces a set: absent or empty the best, else the named one or an error") {
  CHECK(detail::instruction_set_asked_for(nullptr) == best_instruction_set());
  CHECK(detail::instruction_set_asked_for("") == best_instruction_set());
  CHECK(id_of([] { (void)detail::instruction_set_asked_for("best"); }) == ErrorId::unknown_name);
  for (const InstructionSet set : instruction_sets) {
    const std::string name(name_of(set));
    CAPTURE(name);
    if (is_supported(set)) {
      CHECK(detail::instruction_set_asked_for(name.c_str()) == set);
    } else {
      CHECK(id_of([&] { (void)detail::instruction_set_asked_for(name.c_str()); }) == ErrorId::option_out_of_range);
    }
  }
}
