// SPDX-License-Identifier: MIT
/// Models whose format is known at run time alone, and the conversions of models/convert.hpp for them. A conversion finds
/// the types of both formats by their names, and does its work layer by layer.
#pragma once
#include <binllm/models/channel_search.hpp>
#include <binllm/models/formats.hpp>
#include <binllm/nn/any_kind.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace binllm {

/// What config.json says of a format beside its name, such as {"estimator", "vanilla"}.
using FormatWords = std::map<std::string, std::string>;

template <class A, class T, class Device>
using ErasedModel = CausalLm<A, T, Device, AnyKind<T, Device>>;

/// Calls f(format) with the shipped format of these words, of the type that it has; activations are those of a packed
/// one. Errors: unknown_name, option_out_of_range.
template <class Activations, class F>
void with_format_of(std::string_view name, const FormatWords& words, F&& f) {
  const auto get = [&](std::string_view key) -> std::string_view {
    const auto found = words.find(std::string(key));
    return found == words.end() ? std::string_view{} : found->second;
  };
  with_format_named<float, Activations>(name, get, [&]<class Format>() {
    if (Format::name != name) throw Error(ErrorId::unknown_name, "with_format_of", "format", Format::name, name);
    if constexpr (requires { Format::named(get); }) {
      f(Format{Format::named(get)});
    } else {
      f(Format{});
    }
  });
}
/// The same of the format that a model has.
template <class A, class T, class Device, class F>
void with_format_of(const ErasedModel<A, T, Device>& model, F&& f) {
  FormatWords words;
  for (auto& [key, value] : model.format.chosen->words()) words[key] = value;
  const auto if_it_is = [&]<class Format>(const Format&) {
    const auto* chosen = dynamic_cast<const FormatOf<Format, T, Device>*>(model.format.chosen.get());
    if (chosen != nullptr) f(chosen->format);
  };
  with_format_of<Int8Activations>(model.format.chosen->name(), words, if_it_is);
  if (model.format.chosen->name() == Packed::name) if_it_is(PackedFormat<FloatActivations>{});
}

/// The full-precision format, erased.
template <class T, class Device>
[[nodiscard]] AnyKind<T, Device> full_precision_kind() {
  return any_kind<T, Device>(Dense{});
}

/// Errors: option_out_of_range.
[[nodiscard]] inline bool wants_float(const std::string& activations, bool otherwise) {
  if (activations.empty()) return otherwise;
  if (activations == FloatActivations::name || activations == Int8Activations::name)
    return activations == FloatActivations::name;
  throw Error(ErrorId::option_out_of_range, "AnyModel", "activations", "int8 or float", activations);
}

/// The same model with linear layers of another format, which `fill(from, to)` gives their weights.
template <class F, class A, class T, class Device, class Fill>
[[nodiscard]] ErasedModel<A, T, Device> in_format(const F& format, const ErasedModel<A, T, Device>& model,
                                                  const Fill& fill) {
  ErasedModel<A, T, Device> other(model.config, any_kind<T, Device>(format));
  detail::copy_outer(model, other);
  for_each_linear([&](const auto& from, auto& to) { fill(from, layer_as<F>(to)); }, model, other);
  return other;
}
/// A stored model in full precision.
template <class A>
[[nodiscard]] ErasedModel<A, float, Cpu> restored(const ErasedModel<A, float, Cpu>& stored) {
  std::optional<ErasedModel<A, float, Cpu>> dense;
  with_format_of(stored, [&]<class F>(const F&) {
    if constexpr (requires { typename F::form; }) {
      dense.emplace(in_format(Dense{}, stored, [](const auto& from, auto& to) {
        detail::write_dense(layer_as<F>(from), to.weight.value);
      }));
    }
  });
  return std::move(*dense);
}
/// The same model on another device, computing in another type.
template <class T, class Device, class A, class From, class FromDevice>
[[nodiscard]] ErasedModel<A, T, Device> moved(const ErasedModel<A, From, FromDevice>& model) {
  std::optional<ErasedModel<A, T, Device>> other;
  with_format_of(model, [&]<class F>(const F& format) {
    if constexpr (F::trainable) copy_model(model, other.emplace(model.config, any_kind<T, Device>(format)));
  });
  return std::move(*other);
}

/// A quantised model in the stored form of its kind, which is that of packed signs for all that are shipped; nothing
/// where the kind has none. Errors: those of the kind's store.
template <class A>
[[nodiscard]] std::optional<ErasedModel<A, float, Cpu>> stored(const ErasedModel<A, float, Cpu>& quantised,
                                                               bool float_activations) {
  std::optional<ErasedModel<A, float, Cpu>> model;
  with_format_of(quantised, [&]<class F>(const F&) {
    if constexpr (requires { typename F::kind::Form; }) {
      const auto store = [&](const auto& form) {
        model.emplace(in_format(form, quantised, [](const auto& from, auto& to) {
          F::kind::store(layer_as<F>(from), to);
        }));
      };
      float_activations ? store(PackedFormat<FloatActivations>{}) : store(PackedFormat<Int8Activations>{});
    }
  });
  return model;
}

}  // namespace binllm
