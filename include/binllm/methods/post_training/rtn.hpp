// SPDX-License-Identifier: MIT
/// Rounding to nearest: each weight by itself, by the grid of its row or group. What every other method is compared to.
#pragma once
#include <binllm/methods/post_training/calibrated_layer.hpp>
#include <binllm/methods/post_training/grid_fit.hpp>

#include <vector>

namespace binllm {

struct Rtn {
  static constexpr std::string_view name = "rtn", summary = "round each weight to the nearest of its row's grid";
  static constexpr std::string_view source = "the common baseline";
  static constexpr bool calibrated = false;
  using Form = Grid;

  GridOptions grid{};

  [[nodiscard]] Grid form() const { return grid.form(); }

  void operator()(const CalibratedLayer& layer, Grid::Matrix<float, Cpu>& to) const {
    const View<const float> w = layer.weight;
    const Index cols = w.cols(), size = to.form.group_size(cols);
    parallel_for(w.rows(), static_cast<std::size_t>(cols), [&](Index i, std::byte* memory) {
      const std::span row(w.data + i * cols, static_cast<std::size_t>(cols));
      const std::span codes(reinterpret_cast<std::uint8_t*>(memory), row.size());
      for (Index first = 0; first < cols; first += size) {
        const auto from = static_cast<std::size_t>(first);
        const auto part = row.subspan(from, static_cast<std::size_t>(std::min(size, cols - first)));
        const GridLine line = GridLine::fit(to.form, part);
        for (std::size_t j = 0; j < part.size(); ++j) codes[from + j] = static_cast<std::uint8_t>(line.code(part[j]));
        line.write(to, i, first / size);
      }
      to.set_codes(i, codes);
    });
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("grid", self.grid, "", any);
  }
};
static_assert(PostTrainingMethod<Rtn>);

}  // namespace binllm
