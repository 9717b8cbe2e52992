// SPDX-License-Identifier: MIT
/// Work that is the same every time: said once, done often.
#pragma once
#include <binllm/device/cuda.hpp>

namespace binllm {

/// Whether a device records work.
template <class Device>
inline constexpr bool records = false;
template <>
inline constexpr bool records<Cuda> = true;

/// Runs a body that asks a device for the same work at every call: all that differs from call to call must be data on
/// the device. A device that can record work does not need the body again. The primary runs it every time.
template <class Device>
class Replay {
 public:
  template <class Body>
  void operator()(const Body& body) {
    body();
  }
};

/// A CUDA graph. The body runs twice as it is, since the first time asks for memory and plans; then it is recorded.
/// From there on the host's part of it is gone: the body must not read from the device.
template <>
class Replay<Cuda> {
 public:
  Replay() = default;
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;
  ~Replay() { cuda::Runtime<>::discard(recording_); }

  /// Errors: those of the body, device_failed.
  template <class Body>
  void operator()(const Body& body) {
    using R = cuda::Runtime<>;
    if (calls_ < calls_before_recording) {
      body();
      ++calls_;  // one that threw has not asked for all of its memory
      return;
    }
    if (recording_ == nullptr) {
      R::begin_recording();
      try {
        body();
      } catch (...) {
        R::abandon_recording();
        throw;
      }
      recording_ = R::end_recording();
    }
    R::replay(recording_);
  }

 private:
  static constexpr int calls_before_recording = 2;
  int calls_ = 0;
  void* recording_ = nullptr;
};

}  // namespace binllm
