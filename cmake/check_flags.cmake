# SPDX-License-Identifier: MIT
# A response file with which a script compiles as a user of the library would: `c++ @check.flags -fsyntax-only x.cpp`.
set(check_flags "${PROJECT_BINARY_DIR}/check.flags")

function(binllm_write_check_flags)
  set(system "")
  foreach(target IN ITEMS Eigen3::Eigen fmt::fmt nlohmann_json::nlohmann_json SentencePiece::SentencePiece PCRE2::PCRE2 Utf8proc::Utf8proc Zstd::Zstd
      xtensor xtl)
    if(TARGET ${target})
      list(APPEND system "$<TARGET_GENEX_EVAL:${target},$<TARGET_PROPERTY:${target},INTERFACE_INCLUDE_DIRECTORIES>>")
    endif()
  endforeach()
  # /usr/include stands in the compiler's own list, and naming it would break #include_next.
  set(system "$<FILTER:$<REMOVE_DUPLICATES:${system}>,EXCLUDE,^(/usr/include/?)?$>")
  set(flags -std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Werror "-I${PROJECT_SOURCE_DIR}/include"
    ${binllm_xtensor_flags})
  file(GENERATE OUTPUT "${check_flags}"
    CONTENT "$<JOIN:${flags},\n>\n$<$<BOOL:${system}>:-isystem\n>$<JOIN:${system},\n-isystem\n>\n")
endfunction()
binllm_write_check_flags()
