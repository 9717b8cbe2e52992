// SPDX-License-Identifier: MIT
#include <binllm/policy/channel_scale.hpp>

#include <doctest/doctest.h>

using binllm::ChannelScale;
using binllm::ChannelScalePolicy;
using binllm::ChannelSharing;

TEST_CASE("a channel scale says where its scales live: shared unless another place is named") {
  static_assert(ChannelScalePolicy<ChannelScale<float>> && ChannelScalePolicy<ChannelScale<double>>);
  static_assert(!ChannelScalePolicy<int>);
  CHECK(ChannelScale<float>::sharing == ChannelSharing::shared);
  CHECK(ChannelScale<float, ChannelSharing::per_linear>::sharing == ChannelSharing::per_linear);
  CHECK(ChannelScale<float, ChannelSharing::none>::sharing == ChannelSharing::none);
}
