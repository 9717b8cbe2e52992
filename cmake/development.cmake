# SPDX-License-Identifier: MIT
# What we ask of our own code. Linked PRIVATE by every target of this repository, never exported.

add_library(binllm_development INTERFACE)
if(BINLLM_STRICT)
  target_compile_options(binllm_development INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Werror)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # gcc 12 warns about its own AVX-512 intrinsics (gcc bug 105593).
    target_compile_options(binllm_development INTERFACE -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
endif()
if(BINLLM_NATIVE)
  target_link_libraries(binllm_development INTERFACE binllm::native)
endif()
if(BINLLM_SANITIZE)
  target_compile_options(binllm_development INTERFACE
    -fsanitize=${BINLLM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  target_link_options(binllm_development INTERFACE -fsanitize=${BINLLM_SANITIZE})
endif()

# Every source file under a folder, found again at each build.
function(binllm_sources result folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS "${folder}/*.cpp")
  set(${result} ${files} PARENT_SCOPE)
endfunction()

# Drops the sources that include what was not built, and says so.
function(binllm_keep_buildable list)
  set(components io sentencepiece byte_pair xtensor blas cuda ranks)
  set(headers "<binllm/io" "<binllm/tokenizer/sentencepiece" "<binllm/[a-z/]*/byte_pair" "([</]xtensor|interop/histogram)" "<binllm/device/blas" "<binllm/device/cuda" "<binllm/ranks/(open|socket)")
  foreach(source IN LISTS ${list})
    file(STRINGS "${source}" includes REGEX "^ *#include")
    foreach(component header IN ZIP_LISTS components headers)
      if(NOT TARGET binllm::${component} AND NOT component IN_LIST binllm_tokenizer_kinds AND includes MATCHES "${header}")
        message(STATUS "binllm: without binllm::${component}, ${source} is left out")
        list(REMOVE_ITEM ${list} "${source}")
      endif()
    endforeach()
  endforeach()
  set(${list} ${${list}} PARENT_SCOPE)
endfunction()

# Our own flags and every component that was built, for the programs, the benchmarks and the tests.
function(binllm_link_all target)
  target_link_libraries(${target} PRIVATE binllm::binllm binllm_development)
  foreach(component IN ITEMS io tokenizer ranks xtensor blas)
    if(TARGET binllm::${component})
      target_link_libraries(${target} PRIVATE binllm::${component})
    endif()
  endforeach()
  target_compile_options(${target} PRIVATE ${binllm_xtensor_flags})
endfunction()

# xtensor 0.24 wants the looser match of template template parameters that clang 19 gave up.
set(binllm_xtensor_flags "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 19)
  set(binllm_xtensor_flags -fno-relaxed-template-template-args -Wno-deprecated-no-relaxed-template-template-args)
endif()
