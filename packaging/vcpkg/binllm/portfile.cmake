# SPDX-License-Identifier: MIT
# A port of the tree that it stands in, for `vcpkg install binllm --overlay-ports=packaging/vcpkg`.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS features
  FEATURES components BINLLM_COMPONENTS program BINLLM_BUILD_PROGRAM)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS ${features} -DBINLLM_BUILD_TESTS=OFF -DBINLLM_BUILD_EXAMPLES=OFF -DBINLLM_BUILD_BENCHMARKS=OFF
    -DBINLLM_NATIVE=OFF -DBINLLM_STRICT=OFF -DBINLLM_BLAS=OFF -DBINLLM_CUDA=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/binllm)
vcpkg_fixup_pkgconfig()
if("program" IN_LIST FEATURES)
  vcpkg_copy_tools(TOOL_NAMES binllm AUTO_CLEAN)
endif()

if("components" IN_LIST FEATURES)
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
else()  # headers only
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug")
endif()
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
