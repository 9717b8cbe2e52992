# SPDX-License-Identifier: MIT
# `cpack --preset deb`: Debian packages of what the install preset builds, `binllm` (the program) and `libbinllm-dev`.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_CONTACT "binllm authors")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL development)
if(TARGET binllm_cli)
  list(APPEND CPACK_COMPONENTS_ALL program)
endif()

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME binllm)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS "gnuplot-nox")
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "One-bit large language models: the program
 Pre-trains transformers, makes their weights bits, evaluates them and generates
 text.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libbinllm-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libeigen3-dev (>= 3.4), libfmt-dev (>= 9)")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS
  "libpcre2-dev, libsentencepiece-dev, libutf8proc-dev, libzstd-dev, libxtensor-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "One-bit large language models: the C++20 library
 Headers, small static libraries, and what CMake and pkg-config need to find them.")
include(CPack)
