// SPDX-License-Identifier: MIT
/// Clipping by the global norm (Pascanu, Mikolov and Bengio, arXiv 1211.5063).
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/rms_norm.hpp>

#include <cmath>

namespace binllm {

/// Sums of squares of pieces of fixed size, then of the pieces, in fixed order.
struct SumOfSquares {
  static constexpr Index piece = 4096;
  /// Elements of working memory for a block of so many; the last one holds the sum.
  [[nodiscard]] static constexpr Index workspace(Index size) { return size / piece + 2; }
};

template <>
inline constexpr bool cuda::shipped<SumOfSquares> = true;
template <class Device>
struct GenericKernel<SumOfSquares, Device> {
  template <class T>
  static void forward(View<const T, Device> x, View<T, Device> memory) {
    using B = Backend<Device>;
    constexpr Index piece = SumOfSquares::piece;
    const Index pieces = x.size() / piece, rest = x.size() - pieces * piece;
    T* const sums = memory.data;
    B::template row_reduce<Sum>(View<T, Device>(sums, Shape{pieces}), piece, RmsNorm::Square{},
                                Elements<T>{x.data, piece});
    B::template row_reduce<Sum>(View<T, Device>(sums + pieces, Shape{1}), rest, RmsNorm::Square{},
                                Elements<T>{x.data + pieces * piece, rest});
    B::template row_reduce<Sum>(View<T, Device>(sums + pieces + 1, Shape{1}), pieces + 1, formula::Identity{},
                                Elements<T>{sums, pieces + 1});
  }
};

/// The norm of a whole gradient block.
template <class T, class Device = Cpu>
class GlobalNorm {
 public:
  explicit GlobalNorm(Index size) : partial_(Shape{SumOfSquares::workspace(size)}) {}

  [[nodiscard]] double operator()(View<const T, Device> gradient) {
    compute(gradient);
    return value();
  }
  /// The two halves of the above: work for the device, and its result.
  void compute(View<const T, Device> gradient) { Kernel<SumOfSquares, Device>::forward(gradient, partial_.view()); }
  [[nodiscard]] double value() const {
    const View<const T, Device> sum(partial_.view().data + partial_.size() - 1, Shape{1});
    return std::sqrt(static_cast<double>(scalar_on_host(sum)));
  }

 private:
  Tensor<T, Device> partial_;
};

/// What gradients are multiplied with: min(1, limit / norm); 1 if the limit is 0 (off).
[[nodiscard]] inline double clip_factor(double norm, double limit) {
  return limit > 0 && norm > limit ? limit / norm : 1.0;
}

}  // namespace binllm
