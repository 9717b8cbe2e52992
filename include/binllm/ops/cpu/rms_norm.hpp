// SPDX-License-Identifier: MIT
/// RMSNorm a row at a time, while it lies in the cache. A private tail of ops/rms_norm.hpp; the generic kernel there is
/// its definition.
#pragma once

namespace binllm {

template <>
struct Kernel<RmsNorm, Cpu> {
  /// One row of partial sums of dw for each tile.
  static Index workspace(const Shape& x) { return tiles(x) * x.cols(); }

  template <class T, class M>
  static void forward(View<const T> x, View<const M> w, std::type_identity_t<M> epsilon, View<M> inverse, View<T> y) {
    const Index cols = x.cols();
    const RmsNorm::Inverse<M> root{static_cast<M>(cols), epsilon};
    const std::array out{Target<T>(y)};
    over_tiles(x.shape, [&](Index, Index first, Index last) {
      for (Index row = first; row < last; ++row) {
        inverse.data[row] = root(cpu::reduce_row<Sum, M>(row, cols, RmsNorm::Square{}, elements(x)));
        cpu::map_block<Write::assign>(out, {row, row + 1, 0, cols}, RmsNorm::Product3{}, elements(x), per_column(w),
                                      per_row(inverse));
      }
    });
  }

  /// `memory` holds workspace(x.shape) elements.
  template <class T, class M>
  static void backward(View<const T> x, View<const M> w, View<const M> inverse, View<const T> dy, View<M> memory,
                       Into<T, Cpu> dx, View<M> dw) {
    const Index cols = x.cols();
    over_tiles(x.shape, [&](Index tile, Index first, Index last) {
      const Target<M> partial(dw ? memory.data + tile * cols : nullptr, x.rows(), cols, 0);  // all rows are added to it
      if (dw) Backend<Cpu>::zero(partial.data, static_cast<std::size_t>(cols) * sizeof(M));
      const Target<T> to_x(dx.view.data, x.rows(), cols, cols, dx.fresh);
      for (Index row = first; row < last; ++row) {
        const cpu::Block all{row, row + 1, 0, cols};
        const M inner =
            dx ? cpu::reduce_row<Sum, M>(row, cols, RmsNorm::Product3{}, elements(x), per_column(w), elements(dy))
               : M(0);
        const auto gradients = [&](const auto& out, const auto& formula) {
          cpu::map_block<Write::accumulate>(out, all, formula, elements(x), per_column(w), elements(dy),
                                            per_row(inverse), Uniform<M>{&inner});
        };
        if constexpr (std::is_same_v<T, M>) {
          gradients(std::array{to_x, partial}, Gradients<M>{{static_cast<M>(cols)}});
        } else {  // results of one pass are of one type
          if (dx) gradients(std::array{to_x}, RmsNorm::InputGradient<M>{static_cast<M>(cols)});
          if (dw)
            cpu::map_block<Write::accumulate>(std::array{partial}, all, RmsNorm::Product3{}, elements(dy), elements(x),
                                              per_row(inverse));
        }
      }
    });
    if (dw) Backend<Cpu>::column_reduce(dw, tiles(x.shape), formula::Identity{}, Elements<M>{memory.data, cols});
  }

 private:
  template <class T>
  struct Gradients {  // of x, and the row's part of that of w
    RmsNorm::InputGradient<T> input;
    template <class X>
    [[nodiscard]] std::array<X, 2> operator()(const X& x, const X& w, const X& dy, const X& i, const X& inner) const {
      return {input(x, w, dy, i, inner), RmsNorm::Product3{}(dy, x, i)};
    }
  };

  static constexpr Index most_tiles = 16;
  static Index tiles(const Shape& x) {
    return std::clamp<Index>(x.size() / Backend<Cpu>::tile_elements, 1, most_tiles);
  }
  /// Calls body(tile, first row, row after the last) for a grid that depends on the shape alone.
  template <class Body>
  static void over_tiles(const Shape& x, const Body& body) {
    const Index count = tiles(x), rows = x.rows();
    parallel_for(count, [&](Index tile) { body(tile, tile * rows / count, (tile + 1) * rows / count); });
  }
};

}  // namespace binllm
