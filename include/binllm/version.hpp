// SPDX-License-Identifier: MIT
/// The version of the library. The build reads these three numbers, so this file is the only place that states them.
#pragma once

#include <string_view>

namespace binllm {

inline constexpr int version_major = 0;
inline constexpr int version_minor = 1;
inline constexpr int version_patch = 0;
inline constexpr std::string_view version = "0.1.0";

}  // namespace binllm
