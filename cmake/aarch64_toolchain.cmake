# SPDX-License-Identifier: MIT
# Compiles for ARM64 on another Linux, and runs what it compiled on an emulated processor (Debian:
# g++-12-aarch64-linux-gnu, qemu-user). Libraries are those that cmake/aarch64_packages.sh has unpacked.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

find_program(aarch64_compiler NAMES aarch64-linux-gnu-g++ aarch64-linux-gnu-g++-12)
if(NOT aarch64_compiler)
  message(FATAL_ERROR "no aarch64-linux-gnu-g++ here (Debian: g++-12-aarch64-linux-gnu)")
endif()
set(CMAKE_CXX_COMPILER "${aarch64_compiler}")

find_program(aarch64_emulator qemu-aarch64)
if(aarch64_emulator)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${aarch64_emulator};-cpu;max;-L;/usr/aarch64-linux-gnu")
endif()

cmake_path(SET aarch64_packages NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-packages")
if(NOT EXISTS "${aarch64_packages}/usr")
  message(FATAL_ERROR "no libraries for ARM64 in ${aarch64_packages}: run cmake/aarch64_packages.sh")
endif()
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH "${aarch64_packages}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)  # headers alone are of any processor: Eigen, CLI11, doctest
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
