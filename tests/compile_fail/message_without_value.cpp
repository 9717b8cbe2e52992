// expect: pattern_has_other_braces_than_one_pair_for_each_value|consteval function .*MessagePattern
// SPDX-License-Identifier: MIT
#include <binllm/core/message.hpp>

#ifdef VALID
const std::string text = binllm::message("{} of {}", 1, 2);
#else
const std::string text = binllm::message("{} of {:x}", 1, 2);
#endif
