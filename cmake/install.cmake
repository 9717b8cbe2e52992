# SPDX-License-Identifier: MIT
# `find_package(binllm COMPONENTS io tokenizer xtensor native)`: one export per component, so that a user needs only
# the dependencies of the components that they ask for.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/binllm")

install(DIRECTORY include/binllm DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(TARGETS binllm EXPORT binllm-core)
install(EXPORT binllm-core NAMESPACE binllm:: DESTINATION "${package_folder}")
foreach(component IN LISTS binllm_components)
  install(TARGETS binllm_${component} EXPORT binllm-${component} ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(EXPORT binllm-${component} NAMESPACE binllm:: DESTINATION "${package_folder}")
endforeach()

configure_package_config_file(cmake/binllm-config.cmake.in "${PROJECT_BINARY_DIR}/binllm-config.cmake"
  INSTALL_DESTINATION "${package_folder}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/binllm-config-version.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
  "${PROJECT_BINARY_DIR}/binllm-config.cmake" "${PROJECT_BINARY_DIR}/binllm-config-version.cmake"
  cmake/native.cmake cmake/FindSentencePiece.cmake cmake/FindPCRE2.cmake cmake/FindUtf8proc.cmake cmake/FindZstd.cmake
  DESTINATION "${package_folder}")
