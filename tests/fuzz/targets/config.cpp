// SPDX-License-Identifier: MIT
#include "../target.hpp"

#include <binllm/io/folders/config.hpp>

namespace binllm::fuzz {
namespace {

/// What was read can be written, and says the same again.
bool run(std::string_view input) {
  static InputFolder folder({});
  return read_file(input, [](const std::filesystem::path& path) {
    const ModelDescription model = read_config(path);
    model.config.check();
    const std::filesystem::path written = folder.with({}) / "config.json";
    write_config(written, model);
    require(read_config(written) == model, "a configuration is written as it was read");
  });
}

const Registered here("config", run);

}  // namespace
}  // namespace binllm::fuzz
