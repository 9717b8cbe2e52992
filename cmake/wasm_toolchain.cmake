# SPDX-License-Identifier: MIT
# WebAssembly by emscripten (Debian: emscripten; else EMSDK names one), with libraries that are headers alone (wasm/).
# A program is one .js file that holds its .wasm, so that a page needs no server and node no path.
foreach(folder IN ITEMS "$ENV{EMSDK}/upstream/emscripten" /usr/share/emscripten)
  if(EXISTS "${folder}/cmake/Modules/Platform/Emscripten.cmake")
    set(binllm_emscripten "${folder}")
    break()
  endif()
endforeach()
if(NOT binllm_emscripten)
  message(FATAL_ERROR "no emscripten: install Debian's package of that name, or set EMSDK")
endif()
set(ENV{NODE_PATH} /usr/share/nodejs)  # Debian's acorn, which emscripten needs; another node does not look there
include("${binllm_emscripten}/cmake/Modules/Platform/Emscripten.cmake")

list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}/wasm")
set(Eigen3_DIR /usr/share/eigen3/cmake CACHE PATH "Eigen's CMake package")
set(CMAKE_CXX_FLAGS_INIT "-msimd128 -fexceptions -include ${CMAKE_CURRENT_LIST_DIR}/wasm/newer_library.hpp")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-fexceptions -sSINGLE_FILE=1 -sALLOW_MEMORY_GROWTH=1")
