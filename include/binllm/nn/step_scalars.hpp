// SPDX-License-Identifier: MIT
/// Numbers that change per step, in device memory: kernels read them when they run, and closures and recordings of a
/// GPU's work hold only their address. Each belongs to somebody, who adds it by name: t to the pass itself, the
/// learning rate to the optimiser, an annealed factor to the layer that has one.
#pragma once
#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace binllm {

template <class Device>
class StepScalars {
 public:
  static constexpr Index capacity = 32;
  enum class Slot : Index {};
  /// t of the pass, which estimators read. Every set of scalars has it.
  static constexpr Slot sharpness{0};

  StepScalars() : values_(Shape{capacity}) { add("t"); }

  /// A new number, 0 at first. Errors: option_out_of_range for a name that is taken, and where there is no place left.
  Slot add(std::string_view name) {
    const auto count = static_cast<Index>(names_.size());
    if (find(name) < count) refuse(name, "a name that is not taken");
    if (count == capacity) refuse(name, message("at most {} numbers", capacity));
    names_.emplace_back(name);
    return Slot{count};
  }
  void set(Slot slot, double value) {
    Backend<Device>::copy(values_.view().data + static_cast<Index>(slot), &value, sizeof(double));
  }
  /// Where kernels find the number. The address holds as long as these scalars.
  [[nodiscard]] View<const double, Device> operator[](Slot slot) const {
    return {values_.view().data + static_cast<Index>(slot), Shape{1}};
  }
  /// The slot of a number that somebody has added. Errors: unknown_name.
  [[nodiscard]] Slot named(std::string_view name) const {
    const Index index = find(name);
    if (index < static_cast<Index>(names_.size())) return Slot{index};
    throw Error(ErrorId::unknown_name, "StepScalars", "name", "a number that was added", std::string(name));
  }

 private:
  [[nodiscard]] Index find(std::string_view name) const {
    Index index = 0;
    while (index < static_cast<Index>(names_.size()) && names_[static_cast<std::size_t>(index)] != name) ++index;
    return index;
  }
  [[noreturn]] static void refuse(std::string_view name, std::string_view wanted) {
    throw Error(ErrorId::option_out_of_range, "StepScalars", "add", wanted, name);
  }

  Tensor<double, Device> values_;
  std::vector<std::string> names_;
};

}  // namespace binllm
