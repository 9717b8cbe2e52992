// SPDX-License-Identifier: MIT
/// A view is a pointer and a shape: trivially copyable, owning nothing, the only thing that kernels see.
#pragma once
#include <binllm/core/device.hpp>
#include <binllm/core/shape.hpp>

#include <Eigen/Core>
#include <type_traits>

namespace binllm {

/// A contiguous row-major block of T on a device. `View<const T>` reads, `View<T>` writes; the one converts to the
/// other. An empty view (no data) says "not wanted": kernels skip the gradients whose view is empty.
template <class T, class Device = Cpu>
struct View {
  using Scalar = std::remove_const_t<T>;

  T* data = nullptr;
  Shape shape;

  constexpr View() = default;
  constexpr View(T* pointer, Shape extents) : data(pointer), shape(extents) {}
  /// Reading a writable view is always safe.
  constexpr operator View<const T, Device>() const noexcept  // NOLINT(google-explicit-constructor)
      requires(!std::is_const_v<T>) {
    return {data, shape};
  }

  [[nodiscard]] explicit constexpr operator bool() const noexcept { return data != nullptr; }
  [[nodiscard]] constexpr Index size() const noexcept { return data == nullptr ? 0 : shape.size(); }
  [[nodiscard]] constexpr Index rows() const noexcept { return shape.rows(); }
  [[nodiscard]] constexpr Index cols() const noexcept { return shape.cols(); }
  [[nodiscard]] constexpr View reshaped(Shape extents) const noexcept { return {data, extents}; }
  /// Rows [first, first + count) of the block seen as a matrix.
  [[nodiscard]] constexpr View middle_rows(Index first, Index count) const noexcept {
    return {data + first * cols(), Shape{count, cols()}};
  }
  /// Slice `index` along the first dimension.
  [[nodiscard]] constexpr View slice(Index index) const noexcept {
    Shape inner = shape.rank() == 4   ? Shape{shape[1], shape[2], shape[3]}
                  : shape.rank() == 3 ? Shape{shape[1], shape[2]}
                  : shape.rank() == 2 ? Shape{shape[1]}
                                      : Shape{};
    return {data + index * inner.size(), inner};
  }

  /// Lenses: the block as Eigen sees it.
  [[nodiscard]] auto flat() const requires host_accessible<Device> {
    using Array = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
    return Eigen::Map<std::conditional_t<std::is_const_v<T>, const Array, Array>>(data, size());
  }
  [[nodiscard]] auto matrix() const requires host_accessible<Device> {
    using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    return Eigen::Map<std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>>(data, rows(), cols());
  }
  [[nodiscard]] auto row(Index index) const requires host_accessible<Device> {
    using Row = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
    return Eigen::Map<std::conditional_t<std::is_const_v<T>, const Row, Row>>(data + index * cols(), cols());
  }
};

/// The same view, read-only: lets template arguments be deduced where a conversion would not be.
template <class T, class Device>
[[nodiscard]] constexpr View<const T, Device> read(View<T, Device> view) noexcept {
  return view;
}

static_assert(std::is_trivially_copyable_v<View<float>> && std::is_trivially_destructible_v<View<float>>);

}  // namespace binllm
