# SPDX-License-Identifier: MIT
# Flags that tune for the machine that compiles. Also installed: a user's find_package asks their machine, not ours.

function(binllm_native_flags result)
  set(flags -march=native)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 19)
    # On machines with AVX10, clang 19 warns of the features that it has itself read from the processor.
    list(APPEND flags -Wno-invalid-feature-combination)
  endif()
  set(${result} ${flags} PARENT_SCOPE)
endfunction()

if(NOT TARGET binllm::native)
  add_library(binllm::native INTERFACE IMPORTED GLOBAL)
  binllm_native_flags(binllm_flags)
  target_compile_options(binllm::native INTERFACE ${binllm_flags})
  unset(binllm_flags)
endif()
