// SPDX-License-Identifier: MIT
// In place of a unit with all definitions: the other one again.
#include <vector>

std::vector<float> other();
std::vector<float> one() { return other(); }
