// SPDX-License-Identifier: MIT
#include <binllm/binllm.hpp>
#include <binllm/optim/steps.hpp>  // upwards
#include <functional>
#include "beside.hpp"
