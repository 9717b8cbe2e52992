// SPDX-License-Identifier: MIT
#include "../read_all.hpp"

#include <binllm/io/containers/safetensors.hpp>

namespace binllm::fuzz {
namespace {

bool run(std::string_view input) {
  return read_file(input, [](const std::filesystem::path& path) { read_all(SafetensorsFile(path)); });
}

const Registered here("safetensors", run);

}  // namespace
}  // namespace binllm::fuzz
