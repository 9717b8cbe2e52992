// SPDX-License-Identifier: MIT
/// Clipping by the global norm (Pascanu, Mikolov and Bengio, arXiv 1211.5063).
///
///     norm = sqrt( sum over pieces of 4096 gradients ( sum of their squares ) )
///
/// The pieces are those of the gradients in the order of ParameterBlock::in_order, put one behind the other: where the
/// parameters lie in the block changes no bit of the norm.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/nn/parameter_block.hpp>
#include <binllm/ops/rms_norm.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace binllm {

/// The sum of squares of each row, in fixed order.
struct SumOfSquares {
  static constexpr Index piece = 4096;
};
template <>
inline constexpr bool cuda::shipped<SumOfSquares> = true;
template <class Device>
struct GenericKernel<SumOfSquares, Device> {
  template <class T>
  static void forward(View<const T, Device> x, View<T, Device> sums) {
    Backend<Device>::template row_reduce<Sum>(sums, x.cols(), RmsNorm::Square{}, elements(x));
  }
};

/// The sum of a row, in fixed order.
struct SumOfPieces {};
template <>
inline constexpr bool cuda::shipped<SumOfPieces> = true;
template <class Device>
struct GenericKernel<SumOfPieces, Device> {
  template <class T>
  static void forward(View<const T, Device> sums, View<T, Device> total) {
    Backend<Device>::template row_reduce<Sum>(total, sums.size(), formula::Identity{}, Elements<T>{sums.data, sums.size()});
  }
};

/// The norm of a whole gradient block. Pieces that lie in one stretch are summed where they are; the few that do not are
/// put together first.
template <class T, class Device = Cpu>
class GlobalNorm {
 public:
  explicit GlobalNorm(Index size) : GlobalNorm(std::vector<BlockRange>{{0, size}}) {}
  /// Of these ranges, in this order.
  explicit GlobalNorm(const std::vector<BlockRange>& ranges) {
    Index size = 0;
    for (const BlockRange& range : ranges) size += range.size();
    pieces_ = size / piece;
    sums_ = Tensor<T, Device>(Shape{pieces_ + 2});  // the pieces, the rest, and all of them
    plan(ranges, size);
  }

  [[nodiscard]] double operator()(View<const T, Device> gradient) {
    compute(gradient);
    return value();
  }
  /// The two halves of the above: work for the device, and its result.
  void compute(View<const T, Device> gradient) {
    using K = Kernel<SumOfSquares, Device>;
    const auto sums = [&](Index first, Index count) {
      return View<T, Device>(sums_.view().data + first, Shape{count});
    };
    for (const Move& move : moves_) {
      Backend<Device>::copy(gathered_.view().data + move.to, gradient.data + move.from,
                            static_cast<std::size_t>(move.count) * sizeof(T));
    }
    for (const Stretch& stretch : stretches_) {
      const T* const from = stretch.gathered ? read(gathered_.view()).data : gradient.data;
      K::forward(View<const T, Device>(from + stretch.at, Shape{stretch.pieces, stretch.cols}),
                 sums(stretch.first, stretch.pieces));
    }
    Kernel<SumOfPieces, Device>::forward(read(sums(0, pieces_ + 1)), sums(pieces_ + 1, 1));
  }
  [[nodiscard]] double value() const { return std::sqrt(squared()); }
  [[nodiscard]] double squared() const {
    const View<const T, Device> sum(sums_.view().data + pieces_ + 1, Shape{1});
    return static_cast<double>(scalar_on_host(sum));
  }

 private:
  static constexpr Index piece = SumOfSquares::piece;
  /// Pieces [first, first + pieces) of `cols` elements each, one behind the other from `at` on.
  struct Stretch {
    Index at, first, pieces, cols;
    bool gathered;
  };
  struct Move {
    Index from, to, count;
  };

  void plan(const std::vector<BlockRange>& ranges, Index size) {
    Index gathered = 0, within = 0;  // elements put together so far; how far the first range is used up
    auto range = ranges.begin();
    for (Index first = 0; first <= pieces_;) {
      while (range != ranges.end() && within == range->size()) ++range, within = 0;
      const Index cols = first < pieces_ ? piece : size - pieces_ * piece;  // the last piece is what is left
      const Index here = range == ranges.end() ? 0 : range->size() - within;
      if (here >= cols) {
        const Index count = first < pieces_ ? std::min(here / piece, pieces_ - first) : 1;
        stretches_.push_back({range == ranges.end() ? 0 : range->begin + within, first, count, cols, false});
        within += count * cols;
        first += count;
        continue;
      }
      stretches_.push_back({gathered, first++, 1, cols, true});
      for (Index missing = cols; missing > 0;) {
        while (within == range->size()) ++range, within = 0;
        const Index count = std::min(missing, range->size() - within);
        moves_.push_back({range->begin + within, gathered, count});
        within += count;
        gathered += count;
        missing -= count;
      }
    }
    if (gathered > 0) gathered_ = Tensor<T, Device>(Shape{gathered});
  }

  Index pieces_ = 0;
  std::vector<Stretch> stretches_;
  std::vector<Move> moves_;
  Tensor<T, Device> sums_, gathered_;
};

/// What gradients are multiplied with: min(1, limit / norm); 1 if the limit is 0 (off).
[[nodiscard]] inline double clip_factor(double norm, double limit) {
  return limit > 0 && norm > limit ? limit / norm : 1.0;
}

}  // namespace binllm
