// SPDX-License-Identifier: MIT
/// Ctrl-C as a question that long work asks now and then.
#pragma once

namespace program {

/// From here on the first SIGINT is only noted; a second one ends the program at once.
void note_interruption();
[[nodiscard]] bool interrupted() noexcept;
/// Ends the program as the signal would have, so that a shell's loop around it ends as well. Returns if there was none.
void pass_interruption_on();

}  // namespace program
