// SPDX-License-Identifier: MIT
#include <binllm/core/printable.hpp>

#include <doctest/doctest.h>

using binllm::printable;

TEST_CASE("control characters are shown by their bytes, all else is as it was") {
  CHECK(printable("silu") == "silu");
  CHECK(printable("\x1b[2Jcleared") == "\\x1b[2Jcleared");
  CHECK(printable(std::string_view("a\0b\tc\nd\x7f", 8)) == "a\\x00b\\x09c\\x0ad\\x7f");
  CHECK(printable("\xc2\x9b"
                  "2J") == "\\xc2\\x9b2J");  // U+009B, which some terminals take for ESC [
  CHECK(printable("\xc2\xa0 \xc3\xa9 \xe2\x96\x81") == "\xc2\xa0 \xc3\xa9 \xe2\x96\x81");
  CHECK(printable("\xc2") == "\xc2");
}
