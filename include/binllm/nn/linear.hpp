// SPDX-License-Identifier: MIT
/// A linear layer of a model: where it stands, how large it is, and the weights that its format gives it.
#pragma once
#include <binllm/nn/module.hpp>
#include <binllm/nn/pass.hpp>
#include <binllm/ops/add.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

namespace binllm {

/// Size and place of a linear layer, y = x W^T + b with W (out,in).
struct LinearShape {
  Index out = 0, in = 0;
  Role role = Role::attention_in;
  bool bias = false;
  bool keeps_input_scale = false;  ///< a scale of its input channels cannot be folded into what comes before
};

/// A place where one activation (..., channels) enters linear layers. The channels are those of heads of `head_dim`, of
/// which `group` share a key-value head; 1 elsewhere.
struct InputShape {
  Role role = Role::attention_in;
  Index channels = 0, group = 1, head_dim = 0;
};

/// Nothing stands at the input of linear layers.
template <class T, class Device>
struct NoInput {
  using is_input_site = void;
  NoInput() = default;
  template <class Format>
  NoInput(const Format&, const InputShape&) {}
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>&, Variable<T, Device> x) const { return x; }
  template <class V, class... Self>
  static void visit(V&&, Self&...) {}
};

/// A format says what a linear layer is. It has
///   Linear<T, Device>   built from (format, LinearShape), called with (pass, site, x); a module
///   Input<T, Device>    what stands where one activation enters linear layers, the site: built from (format,
///                       InputShape), called with (pass, x); a module that names `is_input_site`
///   trainable, name
/// A Linear may also be called with (pass, site, x, residual), for residual + layer(x), and may multiply together with
/// others that share its input (nn/joint_products.hpp). A format may say with
/// `vocabulary` in which precision a Decoder keeps embedding and head, if not in float.
template <class F, class T, class Device>
concept Format = requires(F format, Index n) {
  typename F::template Linear<T, Device>;
  typename F::template Input<T, Device>;
  { F::trainable } -> std::convertible_to<bool>;
  { F::name } -> std::convertible_to<std::string_view>;
};

/// Whether the parameters of models of this format have gradients.
template <class F>
[[nodiscard]] constexpr bool trains(const F& format) {
  if constexpr (requires { format.trains(); }) {
    return format.trains();
  } else {
    return F::trainable;
  }
}
/// What config.json calls it.
template <class F>
[[nodiscard]] constexpr std::string_view format_name(const F& format) {
  if constexpr (requires { format.chosen_name(); }) {
    return format.chosen_name();
  } else {
    return F::name;
  }
}

/// Calls put(key, value) with what config.json says beside the name: the layout of its tensors, and what it describes.
template <class F, class Put>
void put_words([[maybe_unused]] const F& format, [[maybe_unused]] const Put& put) {
  if constexpr (requires { F::layout; }) put("layout", F::layout);
  if constexpr (requires { format.describe(put); }) format.describe(put);
}
/// Whether two words of that key stand for the same tensors and the same arithmetic.
template <class F>
[[nodiscard]] bool words_agree([[maybe_unused]] const F& format, [[maybe_unused]] std::string_view key, std::string_view wanted,
                               std::string_view found) {
  if constexpr (requires { format.agrees(key, wanted, found); }) {
    return format.agrees(key, wanted, found);
  } else {
    return wanted == found;
  }
}
/// Whether a word that a caller says stands in place of the format's own.
template <class F>
[[nodiscard]] bool word_yields([[maybe_unused]] const F& format, [[maybe_unused]] std::string_view key,
                               [[maybe_unused]] std::string_view own, [[maybe_unused]] std::string_view said) {
  if constexpr (requires { format.yields(key, own, said); }) {
    return format.yields(key, own, said);
  } else {
    return false;
  }
}

/// A place of a model where a format's linear layer stands: the layer's own members, and a bias where the family has
/// one. The bias is in full precision, whatever the weights are.
template <class T, class Device, class F>
struct LinearLayer : F::template Linear<T, Device> {
  using Base = typename F::template Linear<T, Device>;
  LinearShape shape;
  Parameter<master_t<T>, Device> bias;  ///< no elements where there is none

  LinearLayer(const F& format, const LinearShape& s)
      : Base(format, s), shape(s), bias({s.bias ? s.out : 0}, false) {
    bias.initial = 0;
  }

  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const auto& site, Variable<T, Device> x) const {
    return biased(pass, Base::operator()(pass, site, x));
  }
  /// y + b, where the layer has a bias.
  [[nodiscard]] Variable<T, Device> biased(Pass<T, Device>& pass, Variable<T, Device> y) const {
    return shape.bias ? add(y, pass.tape.use(bias)) : y;
  }
  /// residual + layer(x): in one product where the format's linear layer can do that.
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const auto& site, Variable<T, Device> x,
                                               Variable<T, Device> residual) const {
    if constexpr (requires(const Base& layer) { layer(pass, site, x, residual); }) {
      return biased(pass, Base::operator()(pass, site, x, residual));
    } else {
      return add(residual, (*this)(pass, site, x));
    }
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    Base::visit(v, self...);
    v("bias", self.bias...);
  }
};

template <class L>
inline constexpr bool is_linear_layer = false;
template <class T, class Device, class F>
inline constexpr bool is_linear_layer<LinearLayer<T, Device, F>> = true;

template <class Site>
concept InputSite = requires { typename Site::is_input_site; };

/// A linear layer of a model by its name, such as "model.layers.0.self_attn.q_proj".
template <class Linear>
struct NamedLinear {
  std::string name;
  Linear* linear;
};

namespace detail {
template <class Linear, class M>
void collect_linears(const std::string& prefix, M& part, std::vector<NamedLinear<Linear>>& list) {
  if constexpr (is_linear_layer<std::remove_const_t<M>>) {
    list.push_back({prefix, &part});
  } else if constexpr (Module<M>) {
    std::remove_const_t<M>::visit(
        [&](const std::string& name, auto& member) { collect_linears(joined_name(prefix, name), member, list); },
        part);
  }
}
template <class P, class M>
void collect_outer(const std::string& prefix, M& module, std::vector<P*>& list) {
  if constexpr (is_parameter<std::remove_const_t<M>>) {
    list.push_back(&module);
  } else if constexpr (Module<M> && !is_linear_layer<std::remove_const_t<M>> && !InputSite<M>) {
    std::remove_const_t<M>::visit(
        [&](const std::string& name, auto& member) { collect_outer(joined_name(prefix, name), member, list); }, module);
  }
}
}  // namespace detail

/// Every linear layer of the blocks of a model, in visit order. Loops over linear layers start from this list, so that
/// the walk through the modules is compiled once a model.
template <class Model>
[[nodiscard]] auto linear_layers(Model& model) {
  using Linear = LinearLayer<typename Model::value_type, typename Model::device, typename Model::format_type>;
  std::vector<NamedLinear<std::conditional_t<std::is_const_v<Model>, const Linear, Linear>>> list;
  detail::collect_linears("", model, list);
  return list;
}

/// Calls f(linear...), or f(name, linear...), for every linear layer of the blocks of models that differ in format or
/// device only.
template <class F, class First, class... Rest>
void for_each_linear(F&& f, First& first, Rest&... rest) {
  const auto lists = std::tuple(linear_layers(first), linear_layers(rest)...);
  std::apply(
      [&](const auto& named, const auto&... others) {
        for (std::size_t i = 0; i < named.size(); ++i) {
          if constexpr (requires { f(named[i].name, *named[i].linear, *others[i].linear...); }) {
            f(named[i].name, *named[i].linear, *others[i].linear...);
          } else {
            f(*named[i].linear, *others[i].linear...);
          }
        }
      },
      lists);
}

/// Calls f(parameter...) for every parameter of models outside their linear layers and what stands at the inputs of
/// these: embedding, norms, head.
template <class F, class First, class... Rest>
void for_each_outer(F&& f, First& first, Rest&... rest) {
  const auto outer = [](auto& model) {
    using Model = std::remove_reference_t<decltype(model)>;
    using P = Parameter<typename Model::Master, typename Model::device>;
    std::vector<std::conditional_t<std::is_const_v<Model>, const P, P>*> list;
    detail::collect_outer("", model, list);
    return list;
  };
  const auto lists = std::tuple(outer(first), outer(rest)...);
  std::apply(
      [&](const auto& one, const auto&... others) {
        for (std::size_t i = 0; i < one.size(); ++i) f(*one[i], *others[i]...);
      },
      lists);
}

}  // namespace binllm
