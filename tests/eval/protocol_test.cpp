// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/eval/protocol.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {
std::string text_of(std::string_view protocol, std::string_view file) {
  const Protocol& chosen = protocol_named(protocol);
  return joined(chosen, protocol_rows(chosen.rows, file, chosen.most_rows));
}
}  // namespace

TEST_CASE("rows are joined as each data set's protocol says") {
  CHECK(text_of("plain", " a\nb\n") == " a\nb\n");
  CHECK(text_of("wikitext2", " \n = A = \n \n b c \n") == "\n\n = A = \n\n\n\n\n b c \n");
  CHECK(text_of("ptb", " a b \n c <unk> \n") == "a b c <unk>");
  CHECK(text_of("c4", "a\nb\n<|endoftext|>\n\nc\n<|endoftext|>\nd") == "a\nb c d");
  CHECK(text_of("ptb", "").empty());
}

TEST_CASE("c4 reads 1100 documents and 256 windows of 2048") {
  std::string file;
  for (int i = 0; i < 1200; ++i) file += "x\n<|endoftext|>\n";
  const Protocol& c4 = protocol_named("c4");
  CHECK(protocol_rows(c4.rows, file, c4.most_rows).size() == 1100);
  CHECK(c4.context == 2048);
  CHECK(c4.most_windows(2048) == 256);
  CHECK(c4.most_windows(512) == 1024);
  CHECK(protocol_named("wikitext2").most_windows(2048) == Protocol::all);
  CHECK(id_of([] { static_cast<void>(protocol_named("pile")); }) == ErrorId::unknown_name);
}
