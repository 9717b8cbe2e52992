# SPDX-License-Identifier: MIT
# The newest clang here that has libFuzzer (Debian: clang-19 with libclang-rt-19-dev, clang-14 with libclang-rt-14-dev).
if(NOT CMAKE_CXX_COMPILER)
  foreach(version IN ITEMS -19 -18 -17 -16 -15 -14 "")
    find_program(fuzz_clang${version} clang++${version})
    if(fuzz_clang${version})
      set(library libclang_rt.fuzzer-${CMAKE_HOST_SYSTEM_PROCESSOR}.a)
      execute_process(COMMAND "${fuzz_clang${version}}" -print-file-name=${library}
        OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE)
      if(EXISTS "${found}")
        set(CMAKE_CXX_COMPILER "${fuzz_clang${version}}" CACHE FILEPATH "A clang with libFuzzer")
        break()
      endif()
    endif()
  endforeach()
  if(NOT CMAKE_CXX_COMPILER)
    message(FATAL_ERROR "no clang++ with libFuzzer here (Debian: clang-19 and libclang-rt-19-dev)")
  endif()
endif()
