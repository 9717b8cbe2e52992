// SPDX-License-Identifier: MIT
#include <binllm/core/low.hpp>
