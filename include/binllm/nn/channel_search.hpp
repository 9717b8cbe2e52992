// SPDX-License-Identifier: MIT
/// The format of stage 1: borrowed, frozen weights as bits; only the channel scales train.
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/nn/linear.hpp>
#include <binllm/ops/channel_scale.hpp>
#include <binllm/ops/head_groups.hpp>
#include <binllm/policy/channel_scale.hpp>

namespace binllm {

/// y_i = S_i sum_j sgn(W_ij) S_t,j x_j,   S_t = e^u
/// u belongs to the site (shared) or to each linear layer (per_linear).
template <ChannelSharing sharing>
struct ChannelSearch {
  static_assert(sharing != ChannelSharing::none, "this recipe has no stage 1: its channel scale is ChannelSharing::none");
  static constexpr bool trainable = true;
  static constexpr std::string_view name = "channel_search";
  static constexpr bool shared = sharing == ChannelSharing::shared;

  /// At the input of o, whose channels are heads, the query heads of one key-value head share their S_t:
  /// only then can it be folded into the rows of W_v.
  template <class T, class Device>
  struct Input {
    using is_input_site = void;
    Parameter<master_t<T>, Device> log_scale;
    Index group, head_dim;

    Input(const ChannelSearch&, const InputShape& s)
        : log_scale(shared ? Shape{s.channels / s.group} : Shape{0}, false), group(s.group), head_dim(s.head_dim) {}
    /// u of every channel.
    [[nodiscard]] Variable<master_t<T>, Device> channels(Tape<Device>& tape) const {
      const auto u = tape.use(log_scale);
      return group == 1 ? u : repeat_head_groups(u, group, head_dim);
    }
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, Variable<T, Device> x) const {
      if constexpr (!shared) return x;
      return channel_scale(x, channels(pass.tape));
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("log_scale", self.log_scale...);
    }
  };

  template <class T, class Device>
  struct Linear {
    Parameter<master_t<T>, Device> weight;     ///< borrowed
    Parameter<master_t<T>, Device> log_scale;  ///< no elements where the site has it

    Linear(const ChannelSearch&, const LinearShape& s)
        : weight({s.out, s.in}), log_scale(shared ? Shape{0} : Shape{s.in}, false) {}
    /// With a residual: residual + y.
    template <class... Residual>
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>& site,
                                                 Variable<T, Device> x, Residual... residual) const {
      Stage<Device> stage(pass.tape);
      const auto u = shared ? site.channels(pass.tape) : pass.tape.use(log_scale);
      if constexpr (!shared) x = channel_scale(x, u);
      return stage.keep(transient_linear(x, SignWeightOf<T, Device>(read(weight.value), u), residual...));
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("log_scale", self.log_scale...);
    }
  };
};

}  // namespace binllm
