// SPDX-License-Identifier: MIT
#include "../target.hpp"

#include <binllm/interop/npy.hpp>

namespace binllm::fuzz {
namespace {

template <class T>
bool is_one_of(std::string_view input) {
  return read_file(input, [&](const std::filesystem::path& path) {
    const Tensor<T> tensor = load_npy<T>(path.string());
    require(static_cast<std::size_t>(tensor.shape().size()) * sizeof(T) < input.size(), "the file holds all numbers");
  });
}

bool run(std::string_view input) {
  return is_one_of<float>(input) || is_one_of<double>(input) || is_one_of<std::int32_t>(input) ||
         is_one_of<std::int64_t>(input) || is_one_of<std::uint8_t>(input);
}

const Registered here("npy", run);

}  // namespace
}  // namespace binllm::fuzz
