// SPDX-License-Identifier: MIT
/// Whether a program was compiled to be fast on the machine that it runs on.
#pragma once
#include <binllm/simd/instruction_set.hpp>
#include <binllm/simd/unit_build.hpp>

#include <string>

namespace binllm {

namespace detail {

/// One line on what makes a program slow that was built like this, where `best` is what the machine has; else nothing.
[[nodiscard]] inline std::string slow_build_reason(UnitBuild build, InstructionSet best) {
  if (!build.optimised)
    return "compiled without optimisation, many times slower than it need be: set CMAKE_BUILD_TYPE to Release, or -O2";
  const int vector_bytes = best >= InstructionSet::avx512 ? 64 : best == InstructionSet::avx2 ? 32 : 16;
  if (build.vector_bytes >= vector_bytes) return {};
  return "compiled for vectors of " + std::to_string(build.vector_bytes) + " bytes where this machine has " +
         std::to_string(vector_bytes) + ": link binllm::native, or compile with -march=native";
}

}  // namespace detail

/// One line on why this program is slower than it need be, and what to do; empty where it is not. A unit without
/// optimisation counts even if another one trains: of functions that both have the linker keeps one copy.
[[nodiscard]] inline std::string slow_build_reason() {
  return detail::slow_build_reason(unit_build(), detail::best_vector_set());
}
[[nodiscard]] inline bool tuned_build() { return slow_build_reason().empty(); }

}  // namespace binllm
