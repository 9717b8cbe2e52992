// SPDX-License-Identifier: MIT
/// Shapes: up to four dimensions, row-major, known at run time.
#pragma once
#include <binllm/core/error.hpp>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>

namespace binllm {

using Index = std::ptrdiff_t;

namespace detail {
// Out of line, because every op makes shapes.
[[noreturn]] inline void refuse_rank(std::size_t rank) {
  throw Error(ErrorId::rank_unsupported, "Shape", "extents", "at most 4 dimensions", std::to_string(rank));
}
[[noreturn]] inline void refuse_extent(Index extent) {
  throw Error(ErrorId::shape_mismatch, "Shape", "extents", "extents >= 0", std::to_string(extent));
}
}  // namespace detail

/// The extents of a row-major block. The last dimension is contiguous.
/// Errors: rank_unsupported above rank 4, shape_mismatch for a negative extent.
class Shape {
 public:
  static constexpr int max_rank = 4;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<Index> extents)
      : Shape(std::span<const Index>(extents.begin(), extents.size())) {}
  constexpr explicit Shape(std::span<const Index> extents) {
    if (extents.size() > max_rank) detail::refuse_rank(extents.size());
    for (const Index extent : extents) {
      if (extent < 0) detail::refuse_extent(extent);
      extents_[static_cast<std::size_t>(rank_++)] = extent;
    }
  }

  [[nodiscard]] constexpr int rank() const noexcept { return rank_; }
  [[nodiscard]] constexpr Index operator[](int axis) const noexcept { return extents_[static_cast<std::size_t>(axis)]; }

  /// Number of elements; 1 for rank 0.
  [[nodiscard]] constexpr Index size() const noexcept {
    Index product = 1;
    for (int axis = 0; axis < rank_; ++axis) product *= (*this)[axis];
    return product;
  }
  /// Extent of the last dimension; 1 for rank 0.
  [[nodiscard]] constexpr Index cols() const noexcept { return rank_ == 0 ? 1 : (*this)[rank_ - 1]; }
  /// Product of all leading dimensions: the block seen as a matrix has rows() x cols().
  [[nodiscard]] constexpr Index rows() const noexcept {
    Index product = 1;
    for (int axis = 0; axis + 1 < rank_; ++axis) product *= (*this)[axis];
    return product;
  }
  /// The same leading dimensions with another last one.
  [[nodiscard]] constexpr Shape with_cols(Index cols) const noexcept {
    Shape other = *this;
    if (other.rank_ == 0) other.rank_ = 1;
    other.extents_[static_cast<std::size_t>(other.rank_ - 1)] = cols;
    return other;
  }

  friend constexpr bool operator==(const Shape& a, const Shape& b) noexcept {
    if (a.rank_ != b.rank_) return false;
    for (int axis = 0; axis < a.rank_; ++axis) {
      if (a[axis] != b[axis]) return false;
    }
    return true;
  }

 private:
  std::array<Index, max_rank> extents_{};
  int rank_ = 0;
};

/// "(2, 3)" for messages.
[[nodiscard]] inline std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(shape[axis]);
  }
  return text + ")";
}

}  // namespace binllm
