// SPDX-License-Identifier: MIT
#include <binllm/device/back.hpp>
#include <binllm/core/low.hpp>
