// SPDX-License-Identifier: MIT
/// The one trainable format of quantised linear layers, over any kind of weight. A kind is one struct in one file; no
/// other file asks which kind a layer is.
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/nn/linear.hpp>
#include <binllm/ops/transient_linear.hpp>

#include <concepts>
#include <type_traits>

namespace binllm {

/// A kind of quantised weight: a trivially copyable struct with
///   name, summary
///   Parameters<T, D>      what one linear layer holds, built from (kind, LinearShape). A module: its parameters, each
///                         with its rule, and its buffers (tensors that are kept but not trained), by name; and
///     start(dense)            its values from those of a dense weight (out,in)
///     effective(pass)         the weight W_b that it multiplies with: a weight function of transient_linear
///     before(pass, x)         optional: what happens to the input of this layer
///     after(pass, y)          optional: what happens to its output; or after(pass, y, x), of the layer's input too
///     after_update(step, t)   optional: clip, freeze, rotate, after the update of that step, whose t it was
///     restore(matrix)         optional: values from a stored form, to train on from it
///   Form, store(parameters, matrix)      optional: the stored form that runs (nn/stored.hpp), and the way to it
///   form()                optional: the stored form of this kind where it has settings; else Form{}
///   sharpness(progress)   optional: the number that layers read as t in each step (nn/training_progress.hpp); infinity
///                         stands for what they do when the training has ended
///   Input<T, D>           optional: functions with parameters that the linear layers of one input share
///   describe(put)         optional: put(key, value) for each word that config.json keeps of the kind
///   named(get)            optional, static: the kind from such words, get(key)
///   absorbs_row_scale     optional: whether the rows of W take a scale exactly (default: no)
template <class K>
concept LinearKind = std::is_trivially_copyable_v<K> && requires {
  { K::name } -> std::convertible_to<std::string_view>;
  { K::summary } -> std::convertible_to<std::string_view>;
  typename K::template Parameters<float, Cpu>;
};

namespace detail {
template <class K, class T, class Device>
struct InputOf {
  using type = NoInput<T, Device>;
};
template <class K, class T, class Device>
requires requires { typename K::template Input<T, Device>; }
struct InputOf<K, T, Device> {
  using type = typename K::template Input<T, Device>;
};
}  // namespace detail

/// y = after( before(x) W_b^T ), W_b made from the parameters while it multiplies.
template <LinearKind K>
struct Quantised : K {
  static constexpr bool trainable = true;
  using kind = K;

  template <class T, class Device>
  using Input = typename detail::InputOf<K, T, Device>::type;

  template <class T, class Device>
  struct Linear : K::template Parameters<T, Device> {
    using Parameters = typename K::template Parameters<T, Device>;

    Linear(const Quantised& format, const LinearShape& shape)
        : Parameters(static_cast<const K&>(format), shape) {
      if constexpr (requires { this->weight.gradient; }) this->weight.rule.kind = ParameterKind::linear;
    }
    /// With a residual: residual + y.
    template <class... Residual>
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>& site,
                                                 Variable<T, Device> x, Residual... residual) const {
      static_assert(sizeof...(Residual) <= 1);
      const Parameters& own = *this;
      Stage<Device> stage(pass.tape);
      const Variable<T, Device> input = x;
      if constexpr (requires { own.before(pass, x); }) x = own.before(pass, x);
      const auto weight = [&] {
        if constexpr (requires { own.effective(pass, site); }) {
          return own.effective(pass, site);
        } else {
          return own.effective(pass);
        }
      }();
      const auto side = [&](const auto& layer, auto y) {
        if constexpr (requires { layer.after(pass, y, input); }) {
          return layer.after(pass, y, input);
        } else {
          return layer.after(pass, y);
        }
      };
      if constexpr (!requires { own.after(pass, x); } && !requires { own.after(pass, x, input); }) {
        return stage.keep(transient_linear(x, weight, residual...));
      } else if constexpr (sizeof...(Residual) == 0) {
        return stage.keep(side(own, transient_linear(x, weight)));
      } else {
        return stage.keep(add(residual..., side(own, transient_linear(x, weight))));
      }
    }
  };
};

}  // namespace binllm
