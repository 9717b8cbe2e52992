// SPDX-License-Identifier: MIT
/// Standard input, output and error, which the program is given and cannot choose.
#pragma once
#include <string>

namespace program {

/// Called first. A descriptor of the three that is closed is opened so that its use fails as that of a closed one: no
/// file that is opened later gets its number, and the text that is meant for it. A reader that goes away becomes an error
/// of writing, not the end of the program.
void open_standard_streams();

/// Writes out what is left of standard output. Empty if all of it arrived, else what went wrong.
[[nodiscard]] std::string lost_output();

/// A line on standard error, with control characters in what others wrote shown by their bytes.
void complain(const std::string& line);

}  // namespace program
