// SPDX-License-Identifier: MIT
/// Policies of binary-aware initialisation (stage 1): how many scales S_t per input channel there are,
/// and where they go.
#pragma once
#include <concepts>
#include <string_view>
#include <type_traits>

namespace binllm {

/// Where the S_t of stage 1 live.
///   none        no stage 1
///   shared      one S_t for each of a block's four inputs (q/k/v; o; gate/up; down), folded away afterwards: into the
///               norm weight, and into the rows of W_v and W_up, where row S_a makes the fold exact at every t
///               (Eq. 8, 11)
///   per_linear  one S_t for each linear layer, the paper's literal text; stays as an explicit multiply of the input
enum class ChannelSharing { none, shared, per_linear };

template <class C>
concept ChannelScalePolicy = std::floating_point<typename C::value_type> && requires {
  { C::sharing } -> std::convertible_to<ChannelSharing>;
};

template <std::floating_point T, ChannelSharing where = ChannelSharing::shared>
struct ChannelScale;

template <std::floating_point T>
struct ChannelScale<T, ChannelSharing::none> {
  using value_type = T;
  static constexpr ChannelSharing sharing = ChannelSharing::none;
  static constexpr std::string_view name = "none";
  static constexpr std::string_view summary = "no stage 1";
};
template <std::floating_point T>
struct ChannelScale<T, ChannelSharing::shared> {
  using value_type = T;
  static constexpr ChannelSharing sharing = ChannelSharing::shared;
  static constexpr std::string_view name = "shared";
  static constexpr std::string_view summary = "one S_t for each of a block's four inputs, folded away afterwards";
};
template <std::floating_point T>
struct ChannelScale<T, ChannelSharing::per_linear> {
  using value_type = T;
  static constexpr ChannelSharing sharing = ChannelSharing::per_linear;
  static constexpr std::string_view name = "per-linear";
  static constexpr std::string_view summary = "one S_t for each linear layer, kept as an input multiply";
};

}  // namespace binllm
