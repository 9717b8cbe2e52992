// SPDX-License-Identifier: MIT
/// What a forward pass carries: the tape, what changes from step to step, and a cache when decoding.
#pragma once
#include <binllm/autodiff/tape.hpp>

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

/// The first argument of every module's forward: the same call trains, evaluates, and decodes with a cache.
template <class T, class Device>
struct Pass {
  Tape<Device>& tape;
  const StepScalars<Device>& scalars;
  KeyValueCache<T, Device>* cache = nullptr;
  bool recompute = false;  ///< layers keep their input alone and run again in backward: memory for time, same bits
};

}  // namespace binllm
