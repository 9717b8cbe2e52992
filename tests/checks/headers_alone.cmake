# SPDX-License-Identifier: MIT
# Every header but a tail compiles, alone and without a warning, as the only include of a unit. Built by its own test
# rather than by the default target; the build tool runs them side by side and remembers which ones stand.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/include/*.hpp")

# Most of a unit's time is Eigen's. Headers that include it, by themselves or through others, begin with it precompiled:
# all of its names are there for them anyway, before their own first line. The others must not see it.
set(with_eigen "")
foreach(header IN LISTS headers)
  file(STRINGS "${PROJECT_SOURCE_DIR}/include/${header}" included REGEX "^#include <(binllm|Eigen)/")
  list(TRANSFORM included REPLACE "^#include <(.*)>.*" "\\1")
  set("includes_${header}" "${included}")
  if(included MATCHES "(^|;)Eigen/")
    list(APPEND with_eigen "${header}")
  endif()
endforeach()
set(before -1)
list(LENGTH with_eigen count)
while(count GREATER before)
  foreach(header IN LISTS headers)
    if(NOT header IN_LIST with_eigen)
      foreach(one IN LISTS "includes_${header}")
        if(one IN_LIST with_eigen)
          list(APPEND with_eigen "${header}")
          break()
        endif()
      endforeach()
    endif()
  endforeach()
  set(before ${count})
  list(LENGTH with_eigen count)
endwhile()

# The tail of an op header is a part of it that stands in a file of its own; alone it means nothing.
list(FILTER headers EXCLUDE REGEX "(ops|infer|packed)/(cpu|cuda)/")
if(NOT TARGET binllm::xtensor)
  list(FILTER headers EXCLUDE REGEX "interop/(xtensor|histogram)")
endif()

set(error_limit -fmax-errors=3)
set(precompiled gch)  # what the compiler looks for beside a file that -include names
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(error_limit -ferror-limit=3)
  set(precompiled pch)
endif()
set(folder "${CMAKE_CURRENT_BINARY_DIR}/headers_alone")
set(eigen "${folder}/eigen.hpp")
file(CONFIGURE OUTPUT "${eigen}" CONTENT "#include <Eigen/Core>\n" @ONLY)
add_custom_command(OUTPUT "${eigen}.${precompiled}"
  COMMAND "${CMAKE_CXX_COMPILER}" "@${check_flags}" -MD -MT "${eigen}.${precompiled}" -MF "${eigen}.d"
    -x c++-header "${eigen}" -o "${eigen}.${precompiled}"
  DEPENDS "${eigen}" "${check_flags}" DEPFILE "${eigen}.d" COMMENT "precompiled: Eigen" VERBATIM)
set(stamps "")
foreach(header IN LISTS headers)
  string(REPLACE "/" "." name "${header}")
  set(unit "${folder}/${name}")
  file(CONFIGURE OUTPUT "${unit}.cpp" CONTENT "#include <@header@>\n" @ONLY)
  set(begin "")
  set(needs "")
  if(header IN_LIST with_eigen)
    set(begin -include "${eigen}")
    set(needs "${eigen}.${precompiled}")
  endif()
  add_custom_command(OUTPUT "${unit}.passed"
    COMMAND "${CMAKE_CXX_COMPILER}" "@${check_flags}" ${begin} -fsyntax-only ${error_limit} -MMD -MT "${unit}.passed"
      -MF "${unit}.d" "${unit}.cpp"
    COMMAND "${CMAKE_COMMAND}" -E touch "${unit}.passed"
    DEPENDS "${unit}.cpp" ${needs} "${check_flags}" DEPFILE "${unit}.d" COMMENT "alone: ${header}" VERBATIM)
  list(APPEND stamps "${unit}.passed")
endforeach()

add_custom_target(header_self_check DEPENDS ${stamps})
add_test(NAME header_self_check
  COMMAND "${CMAKE_COMMAND}" --build "${PROJECT_BINARY_DIR}" --target header_self_check -- -k 0)
set_tests_properties(header_self_check PROPERTIES PROCESSORS 2)
