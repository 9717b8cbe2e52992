# SPDX-License-Identifier: MIT
# The reference by Doxygen: the target `docs`, and a test that no comment of a header warns.
set(binllm_reference bash "${PROJECT_SOURCE_DIR}/docs/reference/build.sh" "${PROJECT_BINARY_DIR}/reference")
if(PROJECT_IS_TOP_LEVEL)
  add_custom_target(docs COMMAND ${binllm_reference} VERBATIM)
endif()
if(BINLLM_BUILD_TESTS)
  add_test(NAME reference COMMAND ${binllm_reference})
  set_tests_properties(reference PROPERTIES SKIP_RETURN_CODE 77)
endif()
