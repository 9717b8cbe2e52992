// SPDX-License-Identifier: MIT
/// Ctrl-C while something is made: the first one ends that, a second one the program.
#pragma once

namespace program {

/// From `note_interruptions` on the first SIGINT is only noted; the one after it ends the program at once. Where SIGINT
/// is ignored, as in jobs that a script runs in the background, nothing is changed.
void note_interruptions();
/// Whether one was noted.
[[nodiscard]] bool interrupted() noexcept;
/// Back to where a SIGINT ends the program, and none was noted.
void forget_interruptions();
/// Ends the program as the signal would have, so that a shell's loop around it ends as well. Returns if there was none.
void pass_interruption_on();

}  // namespace program
