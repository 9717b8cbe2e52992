// SPDX-License-Identifier: MIT
#include "../small_run.hpp"
#include "../target.hpp"

#include <binllm/io/folders/checkpoint.hpp>

namespace binllm::fuzz {
namespace {

bool run(std::string_view input) {
  return read_file(input, [](const std::filesystem::path& path) {
    static_cast<void>(verify_checkpoint(path));
    SmallRun state;
    TrainingState parts = state.parts();
    read_checkpoint(path, parts);
  });
}

const Registered here("checkpoint", run);

}  // namespace
}  // namespace binllm::fuzz
