// SPDX-License-Identifier: MIT
/// Between host and device: what programs on the host read and write of a device's memory.
#pragma once
#include <binllm/device/cpu.hpp>

#include <type_traits>
#include <utility>

namespace binllm {

/// Copies a host block to the device, and back.
template <class T, class Device>
void copy_to_device(View<const T> from, View<T, Device> to) {
  Backend<Device>::copy(to.data, from.data, static_cast<std::size_t>(from.size()) * sizeof(T));
}
template <class T, class Device>
[[nodiscard]] T scalar_on_host(View<T, Device> x) {
  std::remove_const_t<T> value{};
  Backend<Device>::synchronise();
  Backend<Device>::copy(&value, x.data, sizeof(T));
  return value;
}

/// What a device's block holds, readable on the host: the block itself where the host can read it, else a copy.
template <class T, class Device>
class OnHost {
 public:
  explicit OnHost(View<const T, Device> block) {
    if constexpr (host_accessible<Device>) {
      view_ = {block.data, block.shape};
    } else {
      copy_ = Tensor<T>(block.shape);
      Backend<Device>::synchronise();
      Backend<Device>::copy(copy_.view().data, block.data, static_cast<std::size_t>(block.size()) * sizeof(T));
      view_ = copy_.view();
    }
  }
  [[nodiscard]] View<const T> view() const noexcept { return view_; }

 private:
  Tensor<T> copy_;
  View<const T> view_;
};

/// A tensor of the host that a device's blocks are copied to often: its pages stay in memory where the device can use
/// that, so that a copy needs no other one on the way.
template <class T, class Device>
class Landing {
 public:
  Landing() = default;
  explicit Landing(const Shape& shape) : block_(shape) {
    if constexpr (locks)
      Backend<Device>::lock_pages(block_.view().data, static_cast<std::size_t>(block_.size()) * sizeof(T));
  }
  Landing(Landing&&) noexcept = default;
  Landing& operator=(Landing&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Landing() {
    if constexpr (locks) {
      if (block_.size() > 0) Backend<Device>::unlock_pages(block_.view().data);
    }
  }
  [[nodiscard]] Index size() const noexcept { return block_.size(); }
  [[nodiscard]] View<T> view() noexcept { return block_.view(); }

 private:
  static constexpr bool locks = requires(void* pointer, std::size_t bytes) {
    Backend<Device>::lock_pages(pointer, bytes);
  };
  Tensor<T> block_;
};

}  // namespace binllm
