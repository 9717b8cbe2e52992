// SPDX-License-Identifier: MIT
/// What a forward pass carries: the tape, what changes from step to step, and a cache when decoding.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/nn/role.hpp>
#include <binllm/nn/step_scalars.hpp>

namespace binllm {

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
