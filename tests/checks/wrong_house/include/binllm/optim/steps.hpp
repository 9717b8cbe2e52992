// SPDX-License-Identifier: MIT
#include <binllm/data/tokens.hpp>
#include <binllm/interop/guest.hpp>
