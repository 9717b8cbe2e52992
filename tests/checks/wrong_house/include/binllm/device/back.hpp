// SPDX-License-Identifier: MIT
// #include <binllm/device/loop.hpp>
#  include <binllm/device/loop.hpp>  // closes the circle
