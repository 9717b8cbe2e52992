# SPDX-License-Identifier: MIT
# The optional parts. Each is built where its sources and its dependency exist; `binllm_components` lists them.
set(binllm_components "")
set(binllm_needs_tokenizer "")

# A small static library from the .cpp files that stand beside their headers.
function(binllm_compiled_component name)
  add_library(binllm_${name} STATIC ${ARGN})
  add_library(binllm::${name} ALIAS binllm_${name})
  set_target_properties(binllm_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(binllm_${name} PUBLIC binllm::binllm PRIVATE $<BUILD_INTERFACE:binllm_development>)
endfunction()

# tokenizer: SentencePiece models
binllm_sources(tokenizer_sources "${PROJECT_SOURCE_DIR}/include/binllm/tokenizer")
if(tokenizer_sources AND NOT BINLLM_SENTENCEPIECE STREQUAL "OFF")
  if(BINLLM_SENTENCEPIECE STREQUAL "ON")
    find_package(SentencePiece REQUIRED)
  else()
    find_package(SentencePiece QUIET)
  endif()
  if(SentencePiece_FOUND)
    binllm_compiled_component(tokenizer ${tokenizer_sources})
    target_link_libraries(binllm_tokenizer PRIVATE SentencePiece::SentencePiece)
    list(APPEND binllm_components tokenizer)
  else()
    message(STATUS "binllm: no libsentencepiece, so binllm::tokenizer is left out")
  endif()
endif()

# io: checkpoints, model folders, runs
binllm_sources(io_sources "${PROJECT_SOURCE_DIR}/include/binllm/io")
set(any_sources ${io_sources})
list(FILTER any_sources INCLUDE REGEX "/io/any/[^/]*$")
list(FILTER io_sources EXCLUDE REGEX "/io/any/[^/]*$")
if(io_sources)
  find_package(nlohmann_json 3.11 QUIET)
  if(nlohmann_json_FOUND)
    binllm_compiled_component(io ${io_sources} "${PROJECT_SOURCE_DIR}/include/binllm/io.cpp")
    target_link_libraries(binllm_io PRIVATE $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
    if(TARGET binllm_tokenizer)  # a model folder holds its tokenizer
      target_link_libraries(binllm_io PUBLIC binllm_tokenizer)
      target_compile_definitions(binllm_io PRIVATE BINLLM_WITH_SENTENCEPIECE)
      set(binllm_needs_tokenizer io)
    endif()
    list(APPEND binllm_components io)
  else()
    message(STATUS "binllm: no nlohmann-json, so binllm::io is left out")
  endif()
endif()

# xtensor: views as xtensor expressions
find_package(xtensor 0.24 QUIET)
if(xtensor_FOUND)
  add_library(binllm_xtensor INTERFACE)
  add_library(binllm::xtensor ALIAS binllm_xtensor)
  set_target_properties(binllm_xtensor PROPERTIES EXPORT_NAME xtensor)
  target_link_libraries(binllm_xtensor INTERFACE binllm::binllm xtensor)
  list(APPEND binllm_components xtensor)
else()
  message(STATUS "binllm: no xtensor, so binllm::xtensor is left out")
endif()

# blas: matrix products by the system's BLAS, for those who ask at run time
if(NOT BINLLM_BLAS STREQUAL "OFF")
  find_path(binllm_cblas_folder cblas.h PATH_SUFFIXES openblas)
  find_library(binllm_blas_library NAMES openblas blas)
  mark_as_advanced(binllm_cblas_folder binllm_blas_library)
  if(binllm_cblas_folder AND binllm_blas_library)
    binllm_compiled_component(blas "${PROJECT_SOURCE_DIR}/include/binllm/device/blas.cpp")
    target_include_directories(binllm_blas SYSTEM PRIVATE "${binllm_cblas_folder}")
    target_link_libraries(binllm_blas PUBLIC "${binllm_blas_library}")
    list(APPEND binllm_components blas)
  elseif(BINLLM_BLAS STREQUAL "ON")
    message(FATAL_ERROR "BINLLM_BLAS is ON, but there is no cblas.h or no BLAS library (Debian: libopenblas-dev)")
  else()
    message(STATUS "binllm: no BLAS, so binllm::blas is left out")
  endif()
endif()

# cuda: the kernels of NVIDIA GPUs, for units of the host's compiler; and the flags of units that nvcc compiles
include(cmake/cuda.cmake)

# any: models of any format on any device that was built; its own library because it is minutes of compiling and, with
# CUDA, links the GPU's kernels
if(TARGET binllm_io AND any_sources)
  set(absent_device cuda)
  if(TARGET binllm_cuda)
    set(absent_device no_cuda)
  endif()
  list(FILTER any_sources EXCLUDE REGEX "/${absent_device}[.]cpp$")
  binllm_compiled_component(any ${any_sources})
  target_link_libraries(binllm_any PUBLIC binllm_io)
  if(TARGET binllm_cuda)
    target_link_libraries(binllm_any PUBLIC binllm_cuda)
  endif()
  list(APPEND binllm_components any)
endif()

# compiled: the float kernels instantiated once, for shorter compile times of users
if(EXISTS "${PROJECT_SOURCE_DIR}/include/binllm/compiled.cpp")
  binllm_compiled_component(compiled "${PROJECT_SOURCE_DIR}/include/binllm/compiled.cpp")
  list(APPEND binllm_components compiled)
endif()
