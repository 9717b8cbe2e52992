// SPDX-License-Identifier: MIT
/// Where the tests find real data: $BINLLM_DATA, else the path that the build was given.
#pragma once
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#ifndef BINLLM_DATA_DIR
#define BINLLM_DATA_DIR "../shared/data"
#endif

namespace binllm::test {

/// The file of the data kit, or nothing (said aloud) where the kit is absent.
inline std::optional<std::string> data_file(const std::string& name) {
  const char* const folder = std::getenv("BINLLM_DATA");
  const std::filesystem::path path = std::filesystem::path(folder != nullptr ? folder : BINLLM_DATA_DIR) / name;
  if (std::filesystem::exists(path)) return path.string();
  MESSAGE("skipped: no data kit file ", path.string());
  return std::nullopt;
}

}  // namespace binllm::test
