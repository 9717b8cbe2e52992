// SPDX-License-Identifier: MIT
// The one target that this program links, as libFuzzer calls it.
#include "target.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  binllm::fuzz::targets().front().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
