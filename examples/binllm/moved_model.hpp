// SPDX-License-Identifier: MIT
/// Models on the device that was chosen. Folders are read and written on the host, in float.
#pragma once
#include <binllm/models/convert.hpp>

#include <type_traits>

namespace program {

/// A host's model where it computes: itself on the CPU, else a copy.
template <class T, class Device, class F>
[[nodiscard]] decltype(auto) on_chosen(binllm::Llama<float, binllm::Cpu, F>& model) {
  if constexpr (std::is_same_v<Device, binllm::Cpu>) {
    return (model);
  } else {
    return binllm::on_device<Device, T>(model);
  }
}
/// The way back: itself, or a copy on the host.
template <class T, class Device, class F>
[[nodiscard]] decltype(auto) on_host(binllm::Llama<T, Device, F>& model) {
  if constexpr (std::is_same_v<Device, binllm::Cpu>) {
    return (model);
  } else {
    return binllm::on_device<binllm::Cpu, float>(model);
  }
}

}  // namespace program
