// SPDX-License-Identifier: MIT
#include <binllm/core/low.hpp>
#include <binllm/optim/steps.hpp>
