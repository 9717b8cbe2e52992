// SPDX-License-Identifier: MIT
/// The model of stage 1, and what becomes of the scales that it finds.
#pragma once
#include <binllm/models/convert.hpp>
#include <binllm/nn/erased_format.hpp>

namespace binllm {

/// A model whose linear layers are Binary<R>, by its type or behind AnyKind.
template <RecipeLike R, class Model>
struct BinaryModel {
  Model& model;
  const Binary<R>& format;
};

/// Errors: config_inconsistent unless the scales are one a row: any other granularity either cancels S_t or loses the
/// exact fold.
template <RecipeLike R, class Model>
void check_folds_channel_scale(const BinaryModel<R, Model>& binary) {
  if (binary.format.absorbs_row_scale()) return;
  throw Error(ErrorId::config_inconsistent, "search_channel_scale", "granularity", "row", "another granularity");
}

/// The view of a binary model in which stage 1 trains: weights, norms and embeddings are borrowed, log S_t starts at 0.
/// The binary model must outlive it.
template <RecipeLike R, class Model>
[[nodiscard]] with_format<Model, ChannelSearch<R::channel_scale::sharing>> channel_search(
    const BinaryModel<R, Model>& binary) {
  static_assert(FoldableScale<typename R::scale>,
                "stage 1 folds S_t into rows, which only scales of Granularity::row allow");
  with_format<Model, ChannelSearch<R::channel_scale::sharing>> search(binary.model.config, {}, Ownership::borrow_first);
  const auto borrow = [](const auto& from, auto& to) { to.value = from.value; };
  for_each_outer(borrow, binary.model, search);
  for_each_linear(
      [&](auto& from, auto& to) {
        borrow(*trained_weight(from), to.weight);
        borrow(from.bias, to.bias);
      },
      binary.model, search);
  search.allocate();
  return search;
}

namespace detail {

/// What stands where the activation of a role enters linear layers.
template <class Layer>
[[nodiscard]] auto& input_of(Layer& layer, Role role) {
  switch (role) {
    case Role::attention_in:
      return layer.attention.input;
    case Role::attention_out:
      return layer.attention.o_input;
    case Role::mlp_in:
      return layer.mlp.input;
    case Role::mlp_out:
      break;
  }
  return layer.mlp.down_input;
}

/// Multiplies by e^u what gives the channels of a role their size, where the architecture names such a place.
template <class Architecture, class Layer, class T, class Device>
void multiply_source(Layer& layer, Role role, View<const T, Device> u) {
  const auto columns = [&](auto view) { Kernel<MultiplyColumns, Device>::forward(u, view); };
  const auto rows = [&](auto& linear) {
    Kernel<MultiplyRows, Device>::forward(u, trained_weight(linear)->value);
    if (linear.bias.size() > 0) columns(linear.bias.value);
  };
  for (const Fold& fold : Architecture::folds) {
    if (fold.role != role) continue;
    if (fold.into == FoldInto::rows_of_v) rows(layer.attention.v_proj);
    if (fold.into == FoldInto::rows_of_up) rows(layer.mlp.up_proj);
    if (fold.into == FoldInto::norm_before)
      (role == Role::attention_in ? layer.attention_norm : layer.mlp_norm).for_each_output_vector(columns);
  }
}

}  // namespace detail

/// Ends stage 1: divides the weights' columns by S_t and moves S_t to where it costs nothing (shared; where the
/// architecture has such a place), else to input_scale.
///   norm *= S_t (of q/k/v; of the feed-forward network);   rows of W_v *= S_t of o;   rows of W_up *= S_t of down
/// Exact for row scales: S_a and W scale together, so W / S_a, and with it F, does not change.
template <RecipeLike R, class Model, class Search>
void fold_channel_scale(const BinaryModel<R, Model>& binary, Search& search) {
  using Device = typename Model::device;
  constexpr bool shared = R::channel_scale::sharing == ChannelSharing::shared;
  Tape<Device> tape;
  const NoGrad<Device> pause(tape);
  const auto divide = [](auto& linear, auto u) {
    auto& layer = layer_as<Binary<R>>(linear);
    Kernel<DivideColumns, Device>::forward(read(u), layer.weight.value);
    if (layer.input_scale.size() > 0) Kernel<Exponential, Device>::forward(read(u), layer.input_scale.value);
  };
  if constexpr (!shared) {
    for_each_linear([&](auto& to, auto& from) { divide(to, from.log_scale.value); }, binary.model, search);
  } else {
    using Linear = LinearLayer<typename Model::value_type, Device, typename Model::format_type>;
    for (std::size_t i = 0; i < binary.model.layers.size(); ++i) {
      auto& layer = binary.model.layers[i];
      std::vector<NamedLinear<Linear>> linears;
      detail::collect_linears("", layer, linears);
      for (const Role role : {Role::attention_in, Role::attention_out, Role::mlp_in, Role::mlp_out}) {
        const auto& site = detail::input_of(search.layers[i], role);
        const auto u = site.channels(tape).value();
        for (const auto& [name, linear] : linears) {
          if (linear->shape.role == role) divide(*linear, u);
        }
        detail::multiply_source<typename Model::architecture>(layer, role, read(site.log_scale.value));
      }
    }
  }
  for_each_linear([](auto& linear) { layer_as<Binary<R>>(linear).start_scale(); }, binary.model);
}

// The same of models that are Binary<R> by their type.
template <class A, class T, class Device, RecipeLike R>
[[nodiscard]] BinaryModel<R, CausalLm<A, T, Device, Binary<R>>> binary_model(CausalLm<A, T, Device, Binary<R>>& model) {
  return {model, model.format};
}
template <RecipeLike R, class Model>
[[nodiscard]] BinaryModel<R, Model> binary_model(const BinaryModel<R, Model>& model) {
  return model;
}
template <class A, class T, class Device, RecipeLike R>
[[nodiscard]] CausalLm<A, T, Device, ChannelSearch<R::channel_scale::sharing>> channel_search(
    CausalLm<A, T, Device, Binary<R>>& binary) {
  return channel_search(binary_model(binary));
}
template <class A, class T, class Device, RecipeLike R, class Search>
void fold_channel_scale(CausalLm<A, T, Device, Binary<R>>& binary, Search& search) {
  fold_channel_scale(binary_model(binary), search);
}
template <class A, class T, class Device, RecipeLike R>
void check_folds_channel_scale(CausalLm<A, T, Device, Binary<R>>& binary) {
  check_folds_channel_scale(binary_model(binary));
}

}  // namespace binllm
