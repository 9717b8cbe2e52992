# SPDX-License-Identifier: MIT
# Every header but a tail compiles, alone and without a warning, as the only include of a unit. Built by its own test rather than
# by the default target; the build tool runs them side by side and remembers which ones stand.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/include/*.hpp")
# The tail of an op header is a part of it that stands in a file of its own; alone it means nothing.
list(FILTER headers EXCLUDE REGEX "(ops|infer|packed)/(cpu|cuda)/")
if(NOT TARGET binllm::xtensor)
  list(FILTER headers EXCLUDE REGEX "interop/(xtensor|histogram)")
endif()

set(error_limit -fmax-errors=3)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(error_limit -ferror-limit=3)
endif()
set(stamps "")
foreach(header IN LISTS headers)
  string(REPLACE "/" "." name "${header}")
  set(unit "${CMAKE_CURRENT_BINARY_DIR}/headers_alone/${name}")
  file(CONFIGURE OUTPUT "${unit}.cpp" CONTENT "#include <@header@>\n" @ONLY)
  add_custom_command(OUTPUT "${unit}.passed"
    COMMAND "${CMAKE_CXX_COMPILER}" "@${check_flags}" -fsyntax-only ${error_limit} -MMD -MT "${unit}.passed" -MF "${unit}.d" "${unit}.cpp"
    COMMAND "${CMAKE_COMMAND}" -E touch "${unit}.passed"
    DEPENDS "${unit}.cpp" "${check_flags}" DEPFILE "${unit}.d" COMMENT "alone: ${header}" VERBATIM)
  list(APPEND stamps "${unit}.passed")
endforeach()

add_custom_target(header_self_check DEPENDS ${stamps})
add_test(NAME header_self_check
  COMMAND "${CMAKE_COMMAND}" --build "${PROJECT_BINARY_DIR}" --target header_self_check -- -k 0)
set_tests_properties(header_self_check PROPERTIES PROCESSORS 2)
