// SPDX-License-Identifier: MIT
// The one main of every test program. Where BINLLM_DATA is not set, it names the data kit beside the repository, if
// there is one, so that a test asks the environment only.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

int main(int argc, char** argv) {
#ifdef BINLLM_DATA_DIR
  if (std::filesystem::is_directory(BINLLM_DATA_DIR)) ::setenv("BINLLM_DATA", BINLLM_DATA_DIR, /*overwrite=*/0);
#endif
  return doctest::Context(argc, argv).run();
}
