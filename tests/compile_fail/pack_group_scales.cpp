// expect: MergeableScale
// SPDX-License-Identifier: MIT
#include <binllm/models/llama.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/policy/progressive_sign.hpp>

using namespace binllm;

#ifdef VALID
using S = DualScale<float, Granularity::row>;
#else
using S = DualScale<float, Granularity::group, AnalyticGradient::attached, 64>;
#endif
using R = Recipe<ProgressiveSign<float>, S, ChannelScale<float>, ExponentialSchedule>;

void convert(const Llama<float, Cpu, Binary<R>>& binary) { static_cast<void>(pack(binary)); }
