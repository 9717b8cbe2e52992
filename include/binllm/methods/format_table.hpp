// SPDX-License-Identifier: MIT
/// What stands behind format_named: a table of units, each of which the build compiles by itself (format_unit.hpp), and
/// the formats that every program knows.
#pragma once
#include <binllm/methods/formats.hpp>
#include <binllm/methods/shipped.hpp>
#include <binllm/nn/erased_format.hpp>

#include <utility>

namespace binllm::detail {

template <class T, class Device>
using FormatPointer = std::shared_ptr<const AnyFormat<T, Device>>;

/// Errors: config_invalid.
struct WordOf {
  const FormatWords& words;
  [[nodiscard]] std::string_view operator()(std::string_view key) const {
    const auto found = words.find(std::string(key));
    if (found != words.end()) return found->second;
    throw Error(ErrorId::config_invalid, "load_model", "config.json: binllm." + std::string(key), "a string", "none");
  }
};

template <class F, class T, class Device>
[[nodiscard]] FormatPointer<T, Device> make_format(const FormatWords& words) {
  const WordOf get{words};
  if constexpr (requires { F::named(get); }) {
    return std::make_shared<const FormatOf<F, T, Device>>(F{F::named(get)});
  } else {
    return std::make_shared<const FormatOf<F, T, Device>>(F{});
  }
}

/// Stored forms compute on the host in float, and where they say so: elsewhere a model of one runs with the weights that
/// it stands for.
template <class F, class T, class Device>
inline constexpr bool has_layers = F::trainable || (std::is_same_v<Device, Cpu> && std::is_same_v<T, float>);
template <class F, class T, class Device>
requires(!std::is_same_v<Device, Cpu> && requires {
  F::template multiplies_on<Device>;
}) inline constexpr bool has_layers<F, T, Device> = F::trainable || F::template multiplies_on<Device>;

template <std::size_t unit, std::size_t units, class T, class Device>
struct FormatUnit {
  /// Null where the unit holds no format of that name.
  [[nodiscard]] static FormatPointer<T, Device> named(std::string_view name, const FormatWords& words);
};
template <std::size_t units, class T, class Device>
struct FormatTable {
  [[nodiscard]] static AnyKind<T, Device> named(std::string_view name, const FormatWords& words,
                                                bool float_activations);

 private:
  /// Null where the name is none of CommonFormats.
  [[nodiscard]] static FormatPointer<T, Device> common(std::string_view name, const FormatWords& words,
                                                       bool float_activations) {
    FormatPointer<T, Device> made;
    const auto make = [&]<class F>() {
      if constexpr (has_layers<F, T, Device>) made = make_format<F, T, Device>(words);
    };
    if (!any_type<CommonFormats>([&]<class F>() { return F::name == name; })) return made;
    if (float_activations) {
      with_format_named<float, FloatActivations>(name, WordOf{words}, make);
    } else {
      with_format_named<float, Int8Activations>(name, WordOf{words}, make);
    }
    return made;
  }
};
template <std::size_t units, class T, class Device>
AnyKind<T, Device> FormatTable<units, T, Device>::named(std::string_view name, const FormatWords& words,
                                                        bool float_activations) {
  FormatPointer<T, Device> made = common(name, words, float_activations);
  const auto look = [&]<std::size_t... unit>(std::index_sequence<unit...>) {
    static_cast<void>(((made = made ? std::move(made) : FormatUnit<unit, units, T, Device>::named(name, words)), ...));
  };
  look(std::make_index_sequence<units>());
  if (made == nullptr) throw Error(ErrorId::unknown_name, "format_named", "format", names_of<ShippedFormats>(), name);
  return {std::move(made)};
}

}  // namespace binllm::detail
