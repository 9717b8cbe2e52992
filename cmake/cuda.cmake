# SPDX-License-Identifier: MIT
# binllm::cuda. Architectures are those of CMAKE_CUDA_ARCHITECTURES; by default Hopper, whose own matrix instructions
# attention uses, and code for all from Ampere on, which they translate when a program starts.
if(BINLLM_CUDA STREQUAL "OFF")
  return()
endif()
if(DEFINED ENV{CUDACXX})
  set(binllm_nvcc "$ENV{CUDACXX}")
endif()
find_program(binllm_nvcc nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
mark_as_advanced(binllm_nvcc)
if(NOT binllm_nvcc AND NOT CMAKE_CUDA_COMPILER)
  if(BINLLM_CUDA STREQUAL "ON")
    message(FATAL_ERROR "BINLLM_CUDA is ON, but there is no nvcc (CUDA 12 or later)")
  endif()
  message(STATUS "binllm: no nvcc, so binllm::cuda is left out")
  return()
endif()
if(NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER "${binllm_nvcc}")
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80-virtual;90a-real" CACHE STRING "Architectures of the GPUs that CUDA code is compiled for")
endif()
enable_language(CUDA)
find_package(CUDAToolkit 12 REQUIRED)

add_library(binllm_cuda STATIC "${PROJECT_SOURCE_DIR}/include/binllm/cuda.cu")
add_library(binllm::cuda ALIAS binllm_cuda)
set_target_properties(binllm_cuda PROPERTIES EXPORT_NAME cuda POSITION_INDEPENDENT_CODE ON)
# (CMake 3.25 does not know C++20 of every nvcc.) Formulas are constexpr functions of both sides. {fmt} 9 checks formats
# in consteval functions that nvcc cannot run.
# The three warnings are about Eigen and about pragmas of other compilers.
target_compile_options(binllm_cuda INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr;--diag-suppress=1675,20012,554>")
target_compile_definitions(binllm_cuda INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:FMT_CONSTEVAL=;FMT_USE_CONSTEXPR=1>")
target_compile_options(binllm_cuda PRIVATE -std=c++20 --expt-relaxed-constexpr --diag-suppress=1675,20012,554)
target_compile_definitions(binllm_cuda PRIVATE FMT_CONSTEVAL= FMT_USE_CONSTEXPR=1)
target_link_libraries(binllm_cuda PUBLIC binllm::binllm CUDA::cudart_static CUDA::cublasLt)
list(APPEND binllm_components cuda)
message(STATUS "binllm: binllm::cuda for architectures ${CMAKE_CUDA_ARCHITECTURES}, by ${CMAKE_CUDA_COMPILER}")
