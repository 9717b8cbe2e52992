// SPDX-License-Identifier: MIT
/// What the C++ library of emscripten lacks of C++20 (Debian 12's: std::bit_cast; before LLVM 20: numbers with a point
/// by std::from_chars). Included before all else by cmake/wasm_toolchain.cmake, and no part of binllm.
#pragma once
#include <version>

#if !defined(__cpp_lib_bit_cast)
namespace std {

template <class To, class From>
constexpr To bit_cast(const From& from) noexcept {
  return __builtin_bit_cast(To, from);
}

}  // namespace std
#endif

#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 200000
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

namespace std {

/// In the general format, which has no sign +, no blanks before it and no hexadecimal digits.
inline from_chars_result from_chars(const char* first, const char* last, double& value) {
  string text(first, last);
  const size_t digits = text.starts_with('-') ? 1 : 0;
  const char begin = text.size() > digits ? text[digits] : ' ';
  if (begin == '+' || begin == '-' || begin == ' ' || (begin >= '\t' && begin <= '\r'))
    return {first, errc::invalid_argument};
  if (const size_t x = text.find_first_of("xX"); x != string::npos) text.resize(x);
  char* end = nullptr;
  const double read = strtod(text.c_str(), &end);
  if (end == text.c_str()) return {first, errc::invalid_argument};
  const char* const after = first + (end - text.c_str());
  if (isinf(read) && begin != 'i' && begin != 'I') return {after, errc::result_out_of_range};
  value = read;
  return {after, errc{}};
}
inline from_chars_result from_chars(const char* first, const char* last, float& value) {
  double read = 0;
  const from_chars_result result = from_chars(first, last, read);
  if (result.ec == errc{}) value = static_cast<float>(read);
  return result;
}

}  // namespace std
#endif
