// expect: static assertion failed.*stage 1 folds S_t into rows
// SPDX-License-Identifier: MIT
#include <binllm/models/channel_search.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/train/channel_scale_search.hpp>

using namespace binllm;

#ifdef VALID
using R = Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;
#else
using R =
    Recipe<ProgressiveSign<float>, DualScale<float, Granularity::column>, ChannelScale<float>, ExponentialSchedule>;
#endif

void search(Llama<float, Cpu, Binary<R>>& binary, const TokenStream& corpus) { search_channel_scale(binary, corpus); }
