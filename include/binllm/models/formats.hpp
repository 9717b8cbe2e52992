// SPDX-License-Identifier: MIT
/// The formats of linear layers that every program knows: full precision, the binary kind, packed signs. Those of the
/// methods stand in methods/shipped.hpp.
#pragma once
#include <binllm/core/type_list.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/policy/runtime.hpp>

namespace binllm {

/// The binary kind whose policies are chosen by name.
template <std::floating_point T, ChannelSharing sharing = ChannelSharing::shared>
using RuntimeBinary = Binary<Recipe<RuntimeEstimator<T>, RuntimeScale<T>, ChannelScale<T, sharing>, RuntimeSchedule>>;

/// Calls `f.template operator()<Format>()` with the format of that name, which is one of CommonFormats; `get(key)` gives
/// the other words that config.json keeps of it. Activations are those of a packed one.
template <class T, class Activations, class Get, class F>
decltype(auto) with_format_named(std::string_view name, const Get& get, F&& f) {
  if (name == Packed::name) return f.template operator()<PackedFormat<Activations>>();
  if (name == Dense::name) return f.template operator()<Dense>();
  if (channel_sharing_named(get("channel_scale")) == ChannelSharing::per_linear)
    return f.template operator()<RuntimeBinary<T, ChannelSharing::per_linear>>();
  return f.template operator()<RuntimeBinary<T>>();
}

/// The format of models as they are published, and the one that holds one bit a weight.
using FullPrecisionFormat = Dense;
using OneBitFormat = Packed;

/// One for each name; two types stand behind "binary" and "packed".
using CommonFormats = TypeList<Dense, RuntimeBinary<float>, Packed>;

}  // namespace binllm
