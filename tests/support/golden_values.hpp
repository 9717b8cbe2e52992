// SPDX-License-Identifier: MIT
/// Weights that are no files: functions of a tensor's name and an element's index, as the scripts of tests/golden know
/// them too; and lines of golden numbers.
#pragma once
#include <binllm/core/shape.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace binllm::test {

/// Matrices in [-1/2, 1/2), biases in [-1/4, 1/4), weights of norms in [3/4, 5/4).
inline std::vector<float> golden_values(const std::string& name, const Shape& shape) {
  std::uint64_t start = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : name) start = (start ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  const bool norm = shape.rank() == 1 && !name.ends_with("bias");
  const float scale = shape.rank() == 1 ? 0.25f : 0.5f;
  std::vector<float> values;
  for (Index i = 0; i < shape.size(); ++i) {
    std::uint64_t x = start += 0x9e3779b97f4a7c15u;  // splitmix64
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    values.push_back(scale * (static_cast<float>(x >> 40) * 0x1p-23f - 1) + (norm ? 1.0f : 0.0f));
  }
  return values;
}

/// The lines `key value...` of a file in tests/golden.
inline std::map<std::string, std::vector<double>> golden_lines(const std::string& name) {
  std::ifstream file(std::string(BINLLM_SOURCE_DIR "/tests/golden/") + name);
  REQUIRE(file);
  std::map<std::string, std::vector<double>> lines;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    for (double x = 0; words >> x;) lines[key].push_back(x);
  }
  return lines;
}

}  // namespace binllm::test
