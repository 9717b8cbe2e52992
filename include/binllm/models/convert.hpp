// SPDX-License-Identifier: MIT
/// One model type to another:
///   dense to binary
///   binary to its stage-1 search and back
///   binary to packed
///   packed to dense
#pragma once
#include <binllm/models/llama.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/nn/channel_search.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/policy/recipe.hpp>

#include <algorithm>

namespace binllm {

/// Copies the values of a parameter into one of the same shape.
template <class T, class Device>
void copy_values(const Parameter<T, Device>& from, Parameter<T, Device>& to) {
  check_shape("copy_values", "to", to.shape(), from.shape());
  if (from.size() > 0)
    Backend<Device>::copy(to.value.data, from.value.data, static_cast<std::size_t>(from.size()) * sizeof(T));
}

namespace detail {
template <class F>
inline constexpr bool borrows = false;
template <ChannelSharing sharing>
inline constexpr bool borrows<ChannelSearch<sharing>> = true;
}  // namespace detail

/// The same model on another device, or computing in another type: `on_device<Cuda, bf16>(model)`. A packed model is
/// unpacked first; the view of stage 1 is made where its model is. Errors: out_of_memory.
template <class ToDevice, class To, class T, class Device, class F>
[[nodiscard]] Llama<To, ToDevice, F> on_device(const Llama<T, Device, F>& model) {
  static_assert(std::is_same_v<master_t<To>, master_t<T>>, "a model moves between types with one master type");
  static_assert(F::trainable, "bits are not parameters: unpack the model, then move it");
  static_assert(!detail::borrows<F>, "a model that borrows its weights does not move: move the one that owns them");
  Llama<To, ToDevice, F> moved(model.config, model.format);
  using Mover = Backend<std::conditional_t<host_accessible<ToDevice>, Device, ToDevice>>;
  const auto from = named_parameters(model);
  const auto to = named_parameters(moved);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto& source = from[i].parameter->value;
    Mover::copy(to[i].parameter->value.data, source.data,
                static_cast<std::size_t>(source.size()) * sizeof(master_t<T>));
  }
  Mover::synchronise();
  return moved;
}

namespace detail {

template <class T, class Device>
void fill(View<T, Device> view, T value) {
  if (view.size() > 0) Kernel<Fill, Device>::forward(value, Gradient<T, Device>(view, true));
}

/// S_l as training starts from it: 1 beside an analytic scale, mean |W| alone.
template <class T, class Device, RecipeLike R>
void initialise_scale(const Binary<R>& format, typename Binary<R>::template Linear<T, Device>& layer) {
  const ScaleTraits traits = format.scale.traits();
  if (!traits.learned) return;
  if (traits.analytic) return fill(layer.scale.value, master_t<T>(1));
  Kernel<MeanMagnitude, Device>::forward(traits, read(layer.weight.value), layer.scale.value);
}

}  // namespace detail

/// Calls f(linear...) for every linear layer of the blocks of models that differ in format only.
template <class F, class... Models>
void for_each_linear(F&& f, Models&... models) {
  const std::size_t count = std::min({models.layers.size()...});
  for (std::size_t i = 0; i < count; ++i) {
    f(models.layers[i].self_attn.q_proj...);
    f(models.layers[i].self_attn.k_proj...);
    f(models.layers[i].self_attn.v_proj...);
    f(models.layers[i].self_attn.o_proj...);
    f(models.layers[i].mlp.gate_proj...);
    f(models.layers[i].mlp.up_proj...);
    f(models.layers[i].mlp.down_proj...);
  }
}

/// Calls f(from, to) for every parameter outside the linear layers of the blocks: embedding, norms, head.
template <class F, class From, class To>
void for_each_outer(F&& f, From& from, To& to) {
  f(from.embed_tokens, to.embed_tokens);
  for (std::size_t i = 0; i < from.layers.size(); ++i) {
    f(from.layers[i].input_layernorm, to.layers[i].input_layernorm);
    f(from.layers[i].post_attention_layernorm, to.layers[i].post_attention_layernorm);
  }
  f(from.norm, to.norm);
  f(from.lm_head, to.lm_head);
}

/// The quantisation-aware model of a pre-trained one; at t = 0 it computes what the dense model does (S_l starts at 1).
/// `format` holds the policies where they are chosen at run time.
template <class T, class Device, RecipeLike R>
[[nodiscard]] Llama<T, Device, Binary<R>> binarize(const Llama<T, Device, Dense>& dense, const Binary<R>& format) {
  Llama<T, Device, Binary<R>> binary(dense.config, format);
  for_each_outer([](const auto& from, auto& to) { copy_values(from, to); }, dense, binary);
  for_each_linear(
      [&](const auto& from, auto& to) {
        copy_values(from.weight, to.weight);
        detail::initialise_scale<T, Device>(format, to);
        detail::fill(to.input_scale.value, master_t<T>(1));
      },
      dense, binary);
  return binary;
}
template <RecipeLike R, class T, class Device>
[[nodiscard]] auto binarize(const Llama<T, Device, Dense>& dense) {
  return binarize(dense, Binary<R>{});
}

/// The stage-1 view of a binary model: it borrows every weight, frozen, and has S_t = 1 to train.
/// The binary model must outlive it.
template <class T, class Device, RecipeLike R>
[[nodiscard]] auto channel_search(Llama<T, Device, Binary<R>>& binary) {
  Llama<T, Device, ChannelSearch<Binary<R>::sharing>> search(binary.config, {}, Ownership::borrow_first);
  const auto borrow = [](const auto& from, auto& to) { to.value = from.value; };
  for_each_outer(borrow, binary, search);
  for_each_linear([&](const auto& from, auto& to) { borrow(from.weight, to.weight); }, binary, search);
  search.allocate();
  return search;
}

/// Ends stage 1: divides the weights' columns by S_t and moves S_t to input_scale or, where it is shared, to where it
/// costs nothing:
///   norm weight  *= S_t of q/k/v, of gate/up
///   rows of W_v  *= S_t of o
///   rows of W_up *= S_t of down
/// Exact for row scales: S_a and W scale together, so W / S_a, and with it F, does not change.
template <class T, class Device, RecipeLike R>
void fold_channel_scale(Llama<T, Device, Binary<R>>& binary,
                        Llama<T, Device, ChannelSearch<Binary<R>::sharing>>& search) {
  Tape<Device> tape;
  const NoGrad<Device> pause(tape);
  [[maybe_unused]] const auto divide_columns = [](auto& weight, auto u) {
    Kernel<DivideColumns, Device>::forward(read(u), weight.value);
  };
  if constexpr (Binary<R>::sharing == ChannelSharing::per_linear) {
    for_each_linear(
        [&](auto& to, auto& from) {
          divide_columns(to.weight, from.log_scale.value);
          Kernel<Exponential, Device>::forward(read(from.log_scale.value), to.input_scale.value);
        },
        binary, search);
  } else {
    const auto multiply_rows = [](auto& weight, auto u) {
      Kernel<MultiplyRows, Device>::forward(read(u), weight.value);
    };
    const auto multiply_norm = [](auto& weight, auto u) {
      Kernel<MultiplyColumns, Device>::forward(read(u), weight.value);
    };
    for (std::size_t i = 0; i < binary.layers.size(); ++i) {
      auto& to = binary.layers[i];
      auto& from = search.layers[i];
      const auto attention = from.self_attn.input.log_scale.value, mlp = from.mlp.input.log_scale.value,
                 down = from.mlp.down_input.log_scale.value;
      multiply_norm(to.input_layernorm, attention);
      for (auto* layer : {&to.self_attn.q_proj, &to.self_attn.k_proj, &to.self_attn.v_proj})
        divide_columns(layer->weight, attention);
      multiply_rows(to.self_attn.v_proj.weight, from.self_attn.o_input.log_scale.value);
      divide_columns(to.self_attn.o_proj.weight, from.self_attn.o_input.channels(tape).value());
      multiply_norm(to.post_attention_layernorm, mlp);
      for (auto* layer : {&to.mlp.gate_proj, &to.mlp.up_proj}) divide_columns(layer->weight, mlp);
      multiply_rows(to.mlp.up_proj.weight, down);
      divide_columns(to.mlp.down_proj.weight, down);
    }
  }
  for_each_linear([&](auto& layer) { detail::initialise_scale<T, Device>(binary.format, layer); }, binary);
}

/// The 1-bit model: F becomes sgn, S = S_l S_a is merged (Eq. 10). Row and tensor scales go to the rows, column scales
/// and an explicit S_t to the input.
/// Errors: config_inconsistent for group scales chosen at run time (static ones do not compile).
template <class Activations = Int8Activations, class T, RecipeLike R>
[[nodiscard]] Llama<T, Cpu, PackedFormat<Activations>> pack(const Llama<T, Cpu, Binary<R>>& binary) {
  static_assert(MergeableScale<typename R::scale>,
                "only a MergeableScale can be packed: one for a row, a column or the tensor");
  const ScaleTraits traits = binary.format.scale.traits();
  if (traits.granularity == Granularity::group) {
    throw Error(ErrorId::config_inconsistent, "pack", "granularity", "row, column or tensor", "group");
  }
  Llama<T, Cpu, PackedFormat<Activations>> packed(binary.config);
  for_each_outer([](const auto& from, auto& to) { copy_values(from, to); }, binary, packed);
  for_each_linear(
      [&](const auto& from, auto& to) {
        const auto w = from.weight.value;
        const GroupedBlock<Cpu, typename R::scale> grouped(traits, w.shape);
        Tensor<T> merged(Shape{grouped.groups});
        if (traits.analytic) {
          Kernel<MeanMagnitude, Cpu>::forward(traits, read(w), merged.view());
          if (traits.learned) merged.view().flat() *= from.scale.value.flat();
        } else {
          merged.view().flat() = from.scale.value.flat().abs();  // S sgn(W / S) = |S| sgn(W)
        }
        std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(w.cols())));
        for (Index i = 0; i < w.rows(); ++i) {
          pack_row(read(w.middle_rows(i, 1)).reshaped(Shape{w.cols()}), bits.data());
          to.weight.set_row(i, bits.data());
        }
        const bool explicit_input = from.input_scale.size() > 0;
        if (grouped.by_column || explicit_input) to.weight.input_scale = Tensor<T>(Shape{w.cols()});
        if (explicit_input) to.weight.input_scale.view().flat() = from.input_scale.value.flat();
        if (grouped.by_column && explicit_input) to.weight.input_scale.view().flat() *= merged.view().flat();
        if (grouped.by_column && !explicit_input) to.weight.input_scale.view().flat() = merged.view().flat();
        for (Index i = 0; i < w.rows(); ++i)
          to.weight.scale.view().data[i] =
              grouped.by_column ? T(1) : merged.view().data[traits.granularity == Granularity::tensor ? 0 : i];
      },
      binary, packed);
  return packed;
}

/// The dense model whose weights are +-scale: what a packed model computes, in full precision.
template <class T, class Activations>
[[nodiscard]] Llama<T, Cpu, Dense> unpack(const Llama<T, Cpu, PackedFormat<Activations>>& packed) {
  Llama<T, Cpu, Dense> dense(packed.config);
  for_each_outer([](const auto& from, auto& to) { copy_values(from, to); }, packed, dense);
  for_each_linear(
      [](const auto& from, auto& to) {
        std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(from.weight.cols)));
        for (Index i = 0; i < from.weight.rows(); ++i) {
          auto row = to.weight.value.row(i);
          from.weight.get_row(i, bits.data());
          unpack_row(bits.data(), View<T>(row.data(), Shape{row.size()}));
          row *= from.weight.scale.view().data[i];
          if (from.weight.input_scale) row *= from.weight.input_scale.view().flat();
        }
      },
      packed, dense);
  return dense;
}

}  // namespace binllm
