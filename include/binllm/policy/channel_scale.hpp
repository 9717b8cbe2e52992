// SPDX-License-Identifier: MIT
/// Policies of binary-aware initialisation (stage 1): how many scales S_t per input channel there are,
/// and where they go.
#pragma once
#include <concepts>
#include <type_traits>

namespace binllm {

/// Where the S_t of stage 1 live.
///   shared      one S_t for each of a block's four inputs (q/k/v; o; gate/up; down), folded away afterwards: into the
///               norm weight, and into the rows of W_v and W_up, where row S_a makes the fold exact at every t
///               (Eq. 8, 11)
///   per_linear  one S_t for each linear layer, the paper's literal text; stays as an explicit multiply of the input
///   none        no stage 1
enum class ChannelSharing { none, shared, per_linear };

template <class C>
concept ChannelScalePolicy = std::floating_point<typename C::value_type> && requires {
  { C::sharing } -> std::convertible_to<ChannelSharing>;
};

template <std::floating_point T, ChannelSharing where = ChannelSharing::shared>
struct ChannelScale {
  using value_type = T;
  static constexpr ChannelSharing sharing = where;
};

}  // namespace binllm
