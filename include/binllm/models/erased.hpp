// SPDX-License-Identifier: MIT
/// Models whose format is known at run time alone, and the conversions of models/convert.hpp for them, which ask each
/// layer. No format is named here.
#pragma once
#include <binllm/models/channel_search.hpp>
#include <binllm/models/formats.hpp>
#include <binllm/nn/erased_format.hpp>

#include <string>

namespace binllm {

template <class A, class T, class Device>
using ErasedModel = CausalLm<A, T, Device, AnyKind<T, Device>>;

/// Errors: option_out_of_range.
[[nodiscard]] inline bool wants_float(const std::string& activations, bool otherwise) {
  if (activations.empty()) return otherwise;
  if (activations == FloatActivations::name || activations == Int8Activations::name)
    return activations == FloatActivations::name;
  throw Error(ErrorId::option_out_of_range, "AnyModel", "activations", "int8 or float", activations);
}

/// The same model with linear layers of another format, which `fill(from, to)` gives their weights.
template <class A, class T, class Device, class Fill>
[[nodiscard]] ErasedModel<A, T, Device> in_format(const AnyKind<T, Device>& format,
                                                  const ErasedModel<A, T, Device>& model, const Fill& fill) {
  ErasedModel<A, T, Device> other(model.config, format);
  detail::copy_outer(model, other);
  for_each_linear([&](const auto& from, auto& to) { fill(*from.any, *to.any); }, model, other);
  return other;
}
/// A full-precision model in a quantised format.
template <class A, class T, class Device>
[[nodiscard]] ErasedModel<A, T, Device> quantised(const ErasedModel<A, T, Device>& dense,
                                                  const AnyKind<T, Device>& format) {
  return in_format(format, dense, [](auto& from, auto& to) { to.start(read(from.weight()->value)); });
}
/// A quantised model in the stored form of its kind. Errors: those of the kind's store.
template <class A>
[[nodiscard]] ErasedModel<A, float, Cpu> stored(const ErasedModel<A, float, Cpu>& quantised,
                                                const AnyKind<float, Cpu>& form) {
  return in_format(form, quantised, [](const auto& from, auto& to) { from.store(to); });
}
/// A stored model in full precision, whose format that is.
template <class A>
[[nodiscard]] ErasedModel<A, float, Cpu> restored(const ErasedModel<A, float, Cpu>& stored,
                                                  const AnyKind<float, Cpu>& full_precision) {
  return in_format(full_precision, stored, [](const auto& from, auto& to) { from.restore(to.weight()->value); });
}
/// A stored model in the format that trains its kind. Errors: config_inconsistent where the kind has no way back.
template <class A>
[[nodiscard]] ErasedModel<A, float, Cpu> restored_to_kind(const ErasedModel<A, float, Cpu>& stored,
                                                          const AnyKind<float, Cpu>& quantised) {
  return in_format(quantised, stored, [&](const auto& from, auto& to) {
    if (to.restore_from(from)) return;
    throw Error(ErrorId::config_inconsistent, "restore", "format", "a kind with a way back from its stored form",
                stored.format.chosen_name());
  });
}

/// Calls f(format) with a format whose kind is the binary one, of the type that it has; says whether it is.
template <class T, class Device, class F>
bool with_recipe_of(const AnyKind<T, Device>& format, F&& f) {
  return any_type<TypeList<RuntimeBinary<master_t<T>>, RuntimeBinary<master_t<T>, ChannelSharing::per_linear>>>(
      [&]<class Format>() {
        const auto* chosen = dynamic_cast<const FormatOf<Format, T, Device>*>(format.chosen.get());
        if (chosen != nullptr) f(chosen->format);
        return chosen != nullptr;
      });
}

}  // namespace binllm
