// SPDX-License-Identifier: MIT
/// The model that a subcommand runs: a folder of any format, and how a packed one is multiplied.
#pragma once
#include "command.hpp"

#include <binllm/core/error.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/models/convert.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace program {

struct ChosenModel {
  fs::path folder;
  std::string activations{};  ///< empty: the device's

  void add_to(CLI::App& command) {
    command.add_option("--model", folder, "model folder: full precision, binary or packed")->required();
    command.add_option("--activations", activations, "of a packed model: int8 or float; a GPU has float alone")
        ->check(CLI::IsMember({"int8", "float"}))
        ->default_str("int8, on a GPU float");
  }
  /// Calls f(model) with a model on the device, computing in T. The bits of a packed model are weights +-scale on a
  /// GPU. Errors: those of with_model; option_out_of_range for activations that the device does not have.
  template <class T, class Device, class F>
  void run(F&& f) const {
    if constexpr (!std::is_same_v<Device, binllm::Cpu>) {
      binllm::with_model<float, binllm::FloatActivations>(folder,
                                                          [&](const auto& model) { f(moved<T, Device>(model)); });
    } else if (activations == binllm::FloatActivations::name) {
      binllm::with_model<float, binllm::FloatActivations>(folder, std::forward<F>(f));
    } else {
      binllm::with_model<float>(folder, std::forward<F>(f));
    }
  }

 private:
  template <class T, class Device, class Format>
  [[nodiscard]] auto moved(const binllm::Llama<float, binllm::Cpu, Format>& model) const {
    if constexpr (Format::trainable) {
      return binllm::on_device<Device, T>(model);
    } else {
      if (activations == binllm::Int8Activations::name) {
        throw binllm::Error(binllm::ErrorId::option_out_of_range, "binllm", "--activations", "float on a GPU",
                            activations);
      }
      return binllm::on_device<Device, T>(binllm::unpack(model));
    }
  }
};

}  // namespace program
