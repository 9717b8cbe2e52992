// SPDX-License-Identifier: MIT
// "hammer" in a comment is prose.
const char* first = "hammer and nail";
const char* second = "hammer";
bool third(char c) { return c == '"' && "saw" != second; }  // "saw"
