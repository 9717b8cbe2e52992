// SPDX-License-Identifier: MIT
/// The model that a subcommand runs: a folder of any format, and how a packed one is multiplied.
#pragma once
#include "command.hpp"

#include <binllm/io/folders/model.hpp>

#include <utility>

namespace program {

struct ChosenModel {
  fs::path folder;
  std::string activations = "int8";

  void add_to(CLI::App& command) {
    command.add_option("--model", folder, "model folder: full precision, binary or packed")->required();
    command.add_option("--activations", activations, "of a packed model: int8 or float")
        ->check(CLI::IsMember({"int8", "float"}))
        ->capture_default_str();
  }
  /// Calls f(model).
  template <class F>
  void run(F&& f) const {
    if (activations == binllm::FloatActivations::name) {
      binllm::with_model<float, binllm::FloatActivations>(folder, std::forward<F>(f));
    } else {
      binllm::with_model<float>(folder, std::forward<F>(f));
    }
  }
};

}  // namespace program
