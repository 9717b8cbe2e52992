// SPDX-License-Identifier: MIT
// "hammer" in a comment is prose.
const char* first = "hammer and nail";
const char* second = "hammer";
bool third(char c) { return c == '"' && "saw" != second; }  // "saw"
const char* phase = "hammer";  // the phase, no policy
const char* said = "row";
const char* list[] = {"row", "column"};
const char* fourth = "big-row";
