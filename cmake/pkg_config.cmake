# SPDX-License-Identifier: MIT
# `g++ -std=c++20 x.cpp $(pkg-config --cflags --libs binllm-io)`, for those who do not use CMake: binllm, the headers, and
# a file for each library that needs nothing but Debian's own. All paths begin where the file itself stands.
set(pc_folder "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH pc_prefix "/${pc_folder}" "/")
string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")

function(binllm_pkg_config pc_name pc_description pc_requires pc_flags pc_libraries)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/binllm.pc.in" "${PROJECT_BINARY_DIR}/pkgconfig/${pc_name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/pkgconfig/${pc_name}.pc" DESTINATION "${pc_folder}")
endfunction()

binllm_pkg_config(binllm "${PROJECT_DESCRIPTION}" "eigen3 >= 3.4, fmt >= 9" "-I\${includedir}" "-pthread")
if(TARGET binllm_compiled)
  binllm_pkg_config(binllm-compiled "What most float programs of binllm use, compiled" "binllm = ${PROJECT_VERSION}" ""
    "-L\${libdir} -lbinllm_compiled")
endif()
if(TARGET binllm_io)
  set(pc_libraries "-L\${libdir} -lbinllm_io -lbinllm_methods")
  if(TARGET binllm_tokenizer)
    string(APPEND pc_libraries " -lbinllm_tokenizer")
  endif()
  set(pc_packages SentencePiece PCRE2 Utf8proc Zstd)
  set(pc_flags -lsentencepiece -lpcre2-8 -lutf8proc -lzstd)
  foreach(package flag IN ZIP_LISTS pc_packages pc_flags)
    if(package IN_LIST binllm_tokenizer_packages OR package IN_LIST binllm_io_packages)
      string(APPEND pc_libraries " ${flag}")
    endif()
  endforeach()
  binllm_pkg_config(binllm-io "Model folders, tokenizers and runs of binllm" "binllm = ${PROJECT_VERSION}" "" "${pc_libraries}")
endif()
