// expect: static assertion failed.*the recipe's scalar type must be the model's
// SPDX-License-Identifier: MIT
#include <binllm/models/llama.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/policy/progressive_sign.hpp>

using namespace binllm;

#ifdef VALID
using T = double;
#else
using T = float;
#endif
using R = Recipe<ProgressiveSign<T>, DualScale<T>, ChannelScale<T>, ExponentialSchedule>;

void convert(const Llama<double>& dense) { static_cast<void>(binarize<R>(dense)); }
