// SPDX-License-Identifier: MIT
/// One model type to another: dense to any quantised kind, to its stored form and back, from device to device. Written
/// for every family and kind.
#pragma once
#include <binllm/models/causal_lm.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/nn/channel_search.hpp>
#include <binllm/nn/packed.hpp>

namespace binllm {

/// Copies the values of a parameter into one of the same shape.
template <class T, class Device>
void copy_values(const Parameter<T, Device>& from, Parameter<T, Device>& to) {
  check_shape("copy_values", "to", to.shape(), from.shape());
  if (from.size() > 0)
    Backend<Device>::copy(to.value.data, from.value.data, static_cast<std::size_t>(from.size()) * sizeof(T));
}

/// The same family, scalar type and device with linear layers of another format.
template <class Model, class F>
using with_format = CausalLm<typename Model::architecture, typename Model::value_type, typename Model::device, F>;

namespace detail {
template <class F>
inline constexpr bool borrows = false;
template <ChannelSharing sharing>
inline constexpr bool borrows<ChannelSearch<sharing>> = true;

template <class F, class ToDevice>
inline constexpr bool moves_to = F::trainable;
template <class F, class ToDevice>
requires requires { F::template multiplies_on<ToDevice>; }
inline constexpr bool moves_to<F, ToDevice> =
    F::trainable || std::is_same_v<ToDevice, Cpu> || F::template multiplies_on<ToDevice>;

/// Everything outside the weights of linear layers: embedding, norms, head, biases.
template <class From, class To>
void copy_outer(const From& from, To& to) {
  for_each_outer([](const auto& one, auto& other) { copy_values(one, other); }, from, to);
  for_each_linear([](const auto& one, auto& other) { copy_values(one.bias, other.bias); }, from, to);
}

/// The packed matrices of a model, in visit order.
template <class Model>
[[nodiscard]] auto packed_matrices(Model& model) {
  using Matrix = PackedMatrix<typename Model::Master, typename Model::device>;
  std::vector<std::conditional_t<std::is_const_v<Model>, const Matrix, Matrix>*> list;
  for_each_leaf(
      "",
      [&](const std::string&, auto& leaf) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(leaf)>, Matrix>) list.push_back(&leaf);
      },
      model);
  return list;
}
template <class Mover, class T, class From, class To>
void copy_packed(const PackedMatrix<T, From>& from, PackedMatrix<T, To>& to) {
  const auto move = [](const auto& source, auto& target) {
    if (source.size() > 0)
      Mover::copy(target.view().data, source.view().data,
                  static_cast<std::size_t>(source.size()) * sizeof(*source.view().data));
  };
  if (from.input_scale) to.input_scale = Tensor<T, To>(from.input_scale.shape());
  move(from.tiles, to.tiles);
  move(from.scale, to.scale);
  move(from.input_scale, to.input_scale);
}
}  // namespace detail

/// Copies parameters, buffers and packed matrices into a model of the same parts on another device, or computing in
/// another type.
template <class From, class To>
void copy_model(const From& model, To& moved) {
  static_assert(std::is_same_v<typename From::Master, typename To::Master>,
                "a model moves between types with one master type");
  using ToDevice = typename To::device;
  using Mover = Backend<std::conditional_t<host_accessible<ToDevice>, typename From::device, ToDevice>>;
  const auto from = named_parameters(model);
  const auto to = named_parameters(moved);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto source = from[i].parameter->value;
    Mover::copy(to[i].parameter->value.data, source.data,
                static_cast<std::size_t>(source.size()) * sizeof(typename From::Master));
  }
  const auto kept = buffers(model);
  const auto moved_buffers = buffers(moved);
  for (std::size_t i = 0; i < kept.size(); ++i) Mover::copy(moved_buffers[i].data, kept[i].data, kept[i].bytes);
  const auto packed = detail::packed_matrices(model);
  const auto moved_packed = detail::packed_matrices(moved);
  for (std::size_t i = 0; i < packed.size(); ++i) detail::copy_packed<Mover>(*packed[i], *moved_packed[i]);
  Mover::synchronise();
}

/// The same model on another device, or computing in another type: `on_device<Cuda, bf16>(model)`. A stored model
/// moves to devices that have its product, else it is unpacked first; the view of stage 1 is made where its model is.
/// Errors: out_of_memory.
template <class ToDevice, class To, class A, class T, class Device, class F>
[[nodiscard]] CausalLm<A, To, ToDevice, F> on_device(const CausalLm<A, T, Device, F>& model) {
  static_assert(std::is_same_v<master_t<To>, master_t<T>>, "a model moves between types with one master type");
  static_assert(detail::moves_to<F, ToDevice>,
                "this device multiplies with no such form: unpack the model, then move it");
  static_assert(!detail::borrows<F>, "a model that borrows its weights does not move: move the one that owns them");
  CausalLm<A, To, ToDevice, F> moved(model.config, model.format);
  copy_model(model, moved);
  return moved;
}

/// The quantised model of a pre-trained one, each linear layer as its kind starts from a dense weight.
/// `kind` holds the policies where they are chosen at run time.
template <LinearKind K, class A, class T, class Device>
[[nodiscard]] CausalLm<A, T, Device, Quantised<K>> quantise(const CausalLm<A, T, Device, Dense>& dense,
                                                            const Quantised<K>& format = {}) {
  CausalLm<A, T, Device, Quantised<K>> quantised(dense.config, format);
  detail::copy_outer(dense, quantised);
  for_each_linear([](const auto& from, auto& to) { to.start(read(from.weight.value)); }, dense, quantised);
  return quantised;
}

/// The quantisation-aware model of the recipe; at t = 0 it computes what the dense model does (S_l starts at 1).
template <class A, class T, class Device, RecipeLike R>
[[nodiscard]] CausalLm<A, T, Device, Binary<R>> binarize(const CausalLm<A, T, Device, Dense>& dense,
                                                         const Binary<R>& format) {
  return quantise<BinaryKind<R>>(dense, format);
}
template <RecipeLike R, class A, class T, class Device>
[[nodiscard]] CausalLm<A, T, Device, Binary<R>> binarize(const CausalLm<A, T, Device, Dense>& dense) {
  return binarize(dense, Binary<R>{});
}

/// The model that runs: every linear layer in the stored form of its kind, or in another form that the kind can store.
/// Errors: those of the kind's `store`.
template <StoredForm S, class A, class T, LinearKind K>
[[nodiscard]] CausalLm<A, T, Cpu, Stored<S>> store(const CausalLm<A, T, Cpu, Quantised<K>>& quantised) {
  CausalLm<A, T, Cpu, Stored<S>> stored(quantised.config, Stored<S>{detail::form_of<S>(quantised.format)});
  detail::copy_outer(quantised, stored);
  for_each_linear(
      [](const auto& from, auto& to) {
        const typename K::template Parameters<T, Cpu>& parameters = from;
        typename S::template Matrix<T, Cpu>& matrix = to;
        K::store(parameters, matrix);
      },
      quantised, stored);
  return stored;
}
template <class A, class T, LinearKind K>
[[nodiscard]] auto store(const CausalLm<A, T, Cpu, Quantised<K>>& quantised) {
  return store<typename K::Form>(quantised);
}

/// The 1-bit model: F becomes sgn, S = S_l S_a is merged (Eq. 10). Errors: config_inconsistent for group scales chosen
/// at run time (static ones do not compile).
template <class Activations = Int8Activations, class A, class T, RecipeLike R>
[[nodiscard]] CausalLm<A, T, Cpu, PackedFormat<Activations>> pack(const CausalLm<A, T, Cpu, Binary<R>>& binary) {
  return store<PackedSigns<Activations>>(binary);
}

/// The trainable model of a stored one, as far as the stored form holds it: to train on from there.
template <LinearKind K, class A, class T, StoredForm S>
[[nodiscard]] CausalLm<A, T, Cpu, Quantised<K>> restore(const CausalLm<A, T, Cpu, Stored<S>>& stored,
                                                        const Quantised<K>& format = {}) {
  CausalLm<A, T, Cpu, Quantised<K>> quantised(stored.config, format);
  detail::copy_outer(stored, quantised);
  for_each_linear(
      [](const auto& from, auto& to) {
        const typename S::template Matrix<T, Cpu>& matrix = from;
        to.restore(matrix);
      },
      stored, quantised);
  return quantised;
}

/// The dense model of a stored one: what it computes, in full precision. Errors: none.
template <class A, class T, StoredForm S>
[[nodiscard]] CausalLm<A, T, Cpu, Dense> unpack(const CausalLm<A, T, Cpu, Stored<S>>& stored) {
  CausalLm<A, T, Cpu, Dense> dense(stored.config);
  detail::copy_outer(stored, dense);
  for_each_linear(
      [](const auto& from, auto& to) {
        const typename S::template Matrix<T, Cpu>& matrix = from;
        detail::write_dense(matrix, to.weight.value);
      },
      stored, dense);
  return dense;
}

}  // namespace binllm
