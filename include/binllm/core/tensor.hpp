// SPDX-License-Identifier: MIT
/// A tensor owns one block of device memory.
#pragma once
#include <binllm/core/view.hpp>

#include <utility>

namespace binllm {

/// One contiguous row-major block of T on a device: move-only, zero when made.
/// Errors: out_of_memory.
template <class T, class Device = Cpu>
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Shape shape) : shape_(shape) {
    data_ = static_cast<T*>(Backend<Device>::allocate(bytes()));
    if constexpr (requires { Backend<Device>::zero_new(data_, bytes()); }) {
      Backend<Device>::zero_new(data_, bytes());
    } else {
      Backend<Device>::zero(data_, bytes());
    }
  }
  Tensor(Tensor&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), shape_(std::exchange(other.shape_, {})) {}
  Tensor& operator=(Tensor&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
    return *this;
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor() { Backend<Device>::release(data_); }

  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] Index size() const noexcept { return data_ == nullptr ? 0 : shape_.size(); }
  [[nodiscard]] View<T, Device> view() noexcept { return {data_, shape_}; }
  [[nodiscard]] View<const T, Device> view() const noexcept { return {data_, shape_}; }
  [[nodiscard]] explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  [[nodiscard]] std::size_t bytes() const noexcept { return static_cast<std::size_t>(shape_.size()) * sizeof(T); }

  T* data_ = nullptr;
  Shape shape_;
};

}  // namespace binllm
