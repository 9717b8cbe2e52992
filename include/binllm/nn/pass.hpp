// SPDX-License-Identifier: MIT
/// What a forward pass carries: the tape, what changes from step to step, and a cache when decoding.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/nn/role.hpp>

namespace binllm {

/// Numbers that change per step, in device memory: kernels read them when they run and closures hold only their
/// address.
template <class Device>
class StepScalars {
 public:
  enum Field : Index { hardness, learning_rate, first_correction, second_correction, clip, count };

  StepScalars() : values_(Shape{count}) {}
  void set(Field field, double value) { Backend<Device>::copy(values_.view().data + field, &value, sizeof(double)); }
  [[nodiscard]] View<const double, Device> operator[](Field field) const {
    return {values_.view().data + field, Shape{1}};
  }
  [[nodiscard]] View<double, Device> writable(Field field) { return {values_.view().data + field, Shape{1}}; }

 private:
  Tensor<double, Device> values_;
};

template <class T, class Device>
class KeyValueCache;

/// Sees what enters the linear layers of a model while it runs: what a method that looks at inputs is written on.
template <class T, class Device>
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  /// `x` (..., channels) enters the linear layers of this role in this layer; before a scale of the input, if any.
  virtual void see(Index layer, Role role, Variable<T, Device> x) = 0;
};

/// The first argument of every module's forward: the same call trains, evaluates, and decodes with a cache.
template <class T, class Device>
struct Pass {
  Tape<Device>& tape;
  const StepScalars<Device>& scalars;
  KeyValueCache<T, Device>* cache = nullptr;
  bool recompute = false;  ///< layers keep their input alone and run again in backward: memory for time, same bits
  InputObserver<T, Device>* observer = nullptr;

  void observe(Index layer, Role role, Variable<T, Device> x) const {
    if (observer != nullptr) observer->see(layer, role, x);
  }
};

}  // namespace binllm
