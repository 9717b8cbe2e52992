# SPDX-License-Identifier: MIT
# Two parts: `program`, and `development`, which is all that programs of others need. There
# `find_package(binllm COMPONENTS io tokenizer xtensor native)` finds one export per component, so that a user needs only
# the dependencies of the components that they ask for. Nothing that is installed knows where: a prefix may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/binllm")
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)

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
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/libbinllm-dev" RENAME copyright)
include(cmake/pkg_config.cmake)

if(TARGET binllm_cli)  # it has written its completion and its manual beside itself
  get_target_property(program_folder binllm_cli RUNTIME_OUTPUT_DIRECTORY)
  set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME program)
  install(TARGETS binllm_cli RUNTIME)
  install(FILES "${program_folder}/binllm.bash" RENAME binllm
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
  install(FILES "${program_folder}/binllm.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/binllm" RENAME copyright)
endif()

include(cmake/packages.cmake)
