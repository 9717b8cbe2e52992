# SPDX-License-Identifier: MIT
# usage: cmake -D build=FOLDER -D prefix=FOLDER -D version=X.Y.Z -P install.cmake
# Installs to one place and moves it to another, where the programs of the other tests find it. Nothing there may name the
# first place or the build folder; and other versions than this one are refused.
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE "${prefix}" "${prefix}.first")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${build}" --prefix "${prefix}.first" OUTPUT_QUIET
  COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${prefix}.first" "${prefix}")

file(GLOB_RECURSE texts "${prefix}/*.cmake" "${prefix}/*.pc")
foreach(text IN LISTS texts)
  file(STRINGS "${text}" lines)
  foreach(place IN ITEMS "${prefix}.first" "${build}")
    string(FIND "${lines}" "${place}" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${text} names ${place}")
    endif()
  endforeach()
endforeach()

list(FILTER texts INCLUDE REGEX "/binllm-config[.]cmake$")
cmake_path(GET texts PARENT_PATH package)
string(REPLACE "." ";" numbers "${version}")
list(GET numbers 0 major)
list(GET numbers 1 minor)
math(EXPR next_major "${major} + 1")
math(EXPR next_minor "${minor} + 1")
foreach(other IN ITEMS "${major}.${next_minor}" "${next_major}.0" "${next_major}.${minor}")
  set(binllm_DIR "${package}")
  find_package(binllm ${other} QUIET CONFIG)
  if(binllm_FOUND OR NOT binllm_CONSIDERED_VERSIONS STREQUAL version)
    message(FATAL_ERROR "version ${other} was asked for, and not refused")
  endif()
endforeach()
