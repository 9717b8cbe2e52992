// SPDX-License-Identifier: MIT
/// Clipping by the global norm (Pascanu, Mikolov and Bengio, arXiv 1211.5063).
#pragma once
#include <binllm/device/kernel.hpp>
#include <binllm/ops/rms_norm.hpp>

#include <cmath>

namespace binllm {

/// The norm of a whole gradient block: sums of squares of pieces of fixed size, then of the pieces, in fixed order.
template <class T, class Device = Cpu>
class GlobalNorm {
 public:
  explicit GlobalNorm(Index size) : size_(size), pieces_(size / piece), partial_(Shape{pieces_ + 2}) {}

  [[nodiscard]] double operator()(View<const T, Device> gradient) {
    using B = Backend<Device>;
    T* sums = partial_.view().data;
    B::template row_reduce<Sum>(View<T, Device>(sums, Shape{pieces_}), piece, RmsNorm::Square{},
                                Elements<T>{gradient.data, piece});
    const Index rest = size_ - pieces_ * piece;
    B::template row_reduce<Sum>(View<T, Device>(sums + pieces_, Shape{1}), rest, RmsNorm::Square{},
                                Elements<T>{gradient.data + pieces_ * piece, rest});
    B::template row_reduce<Sum>(View<T, Device>(sums + pieces_ + 1, Shape{1}), pieces_ + 1, formula::Identity{},
                                Elements<T>{sums, pieces_ + 1});
    T total = 0;
    B::copy(&total, sums + pieces_ + 1, sizeof(T));
    return std::sqrt(static_cast<double>(total));
  }

 private:
  static constexpr Index piece = 4096;
  Index size_, pieces_;
  Tensor<T, Device> partial_;
};

/// What gradients are multiplied with: min(1, limit / norm); 1 if the limit is 0 (off).
[[nodiscard]] inline double clip_factor(double norm, double limit) {
  return limit > 0 && norm > limit ? limit / norm : 1.0;
}

}  // namespace binllm
