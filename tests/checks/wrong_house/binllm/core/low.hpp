// SPDX-License-Identifier: MIT
#include <binllm/optim/steps.hpp>  // upwards
#include <binllm/binllm.hpp>
#include <functional>
#include "beside.hpp"
