# SPDX-License-Identifier: MIT
include(FindPackageHandleStandardArgs)
include("${CMAKE_CURRENT_LIST_DIR}/header_library.cmake")
binllm_header_library(nlohmann_json nlohmann_json::nlohmann_json nlohmann)
