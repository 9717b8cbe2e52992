// SPDX-License-Identifier: MIT
/// Whether a sanitizer watches over memory: it forbids requests that cannot be met, and owns malloc.
#pragma once

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define BINLLM_TEST_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BINLLM_TEST_SANITIZED
#endif

namespace binllm::test {

#ifdef BINLLM_TEST_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace binllm::test
