// SPDX-License-Identifier: MIT
/// Formats of linear layers by name, as config.json has them. What a format computes is compiled once for each device
/// and scalar type, in a unit that the build makes (format_unit.hpp); whoever opens a model asks here, and compiles
/// nothing for any of them. Link binllm::methods.
#pragma once
#include <binllm/nn/any_kind.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace binllm {

/// What config.json says of a format beside its name, such as {"estimator", "vanilla"}.
using FormatWords = std::map<std::string, std::string>;

/// The shipped format of that name, for models that compute in T on a device: float and bf16 on
/// the CPU, on Meta and on a GPU. Activations are those of packed signs. Errors: unknown_name, also for a format that the device has no
/// layers of; config_invalid for a word that is missing; those of the kind's `named`.
template <class T, class Device>
[[nodiscard]] AnyKind<T, Device> format_named(std::string_view name, const FormatWords& words,
                                              bool float_activations = false);

/// A format of another device or scalar type.
template <class T, class Device, class From, class FromDevice>
[[nodiscard]] AnyKind<T, Device> same_format(const AnyKind<From, FromDevice>& format, bool float_activations = false) {
  const auto words = format.chosen->words();
  return format_named<T, Device>(format.chosen->name(), FormatWords(words.begin(), words.end()), float_activations);
}
/// The stored form of a quantised format. The format says whether there is one: an empty stored_name.
[[nodiscard]] inline AnyKind<float, Cpu> stored_format(const AnyKind<float, Cpu>& format, bool float_activations) {
  const auto words = format.chosen->stored_words();
  return format_named<float, Cpu>(format.chosen->stored_name(), FormatWords(words.begin(), words.end()),
                                  float_activations);
}

/// The format that trains the kind of a stored form, if it has one among the methods: what a model of the form computes
/// as where the form has no product and no single weight stands for its layers.
[[nodiscard]] std::optional<AnyKind<float, Cpu>> trainable_format(const AnyKind<float, Cpu>& form);

}  // namespace binllm
