// SPDX-License-Identifier: MIT
/// How often memory was asked for, by anybody in the process.
#pragma once
#include "support/sanitizers.hpp"

#include <cstddef>
#include <cstdlib>  // says which C library this is

namespace binllm::test {

/// Whether requests are counted: with the GNU C library, and where no sanitizer owns malloc.
#if defined(__GLIBC__) && !defined(BINLLM_TEST_SANITIZED)
inline constexpr bool allocations_counted = true;
#else
inline constexpr bool allocations_counted = false;
#endif

/// Calls of malloc and its kin so far. `operator new` ends there too, and so do Eigen and the C++ library.
std::size_t allocations();

}  // namespace binllm::test
