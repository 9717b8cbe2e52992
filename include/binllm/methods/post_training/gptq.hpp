// SPDX-License-Identifier: MIT
/// GPTQ (Frantar et al., ICLR 2023, arXiv 2210.17323; code IST-DASLab/gptq): columns rounded one after the other, the
/// later ones making up for the errors of the earlier ones (column_sweep.hpp). Grids are those of the whole rows before
/// anything is rounded, or are found anew where a group begins, from the weights as they are by then. By activation,
/// the columns with the largest inputs come first, and groups are those of the weight's own order, found beforehand.
#pragma once
#include <binllm/methods/post_training/calibrated_layer.hpp>
#include <binllm/methods/post_training/column_sweep.hpp>
#include <binllm/methods/post_training/grid_fit.hpp>

#include <vector>

namespace binllm {

namespace detail {

/// What the sweep asks of rows whose weights are rounded to grids.
class GridRows {
 public:
  GridRows(const InverseFactor& factor, bool fixed_grids, Grid::Matrix<float, Cpu>& to)
      : factor_(factor),
        fixed_(fixed_grids || to.form.group_size(to.cols) == to.cols),
        size_(to.form.group_size(to.cols)),
        to_(to),
        codes_(Shape{to.scale.shape().rows(), to.cols}),
        lines_(static_cast<std::size_t>(to.scale.size())) {}

  void begin(Index i, const double* w) {
    if (!fixed_) return;
    std::vector<double> row(static_cast<std::size_t>(to_.cols));
    for (std::size_t k = 0; k < row.size(); ++k) row[static_cast<std::size_t>(factor_.order[k])] = w[k];
    for (Index g = 0; g < groups(); ++g)
      line(i, g) = GridLine::fit(to_.form, std::span<const double>(row).subspan(static_cast<std::size_t>(g * size_),
                                                                                static_cast<std::size_t>(extent(g))));
  }
  /// Groups that begin in this block take the weights as they are where the block begins, as the authors' code does.
  void begin_block(Index i, Index first, Index count, const double* w) {
    if (fixed_) return;
    for (Index g = (first + size_ - 1) / size_; g < groups() && g * size_ < first + count; ++g)
      line(i, g) = GridLine::fit(to_.form, std::span<const double>(w + g * size_, static_cast<std::size_t>(extent(g))));
  }
  [[nodiscard]] double round(Index i, Index k, double x) {
    const Index j = factor_.order[static_cast<std::size_t>(k)];
    const GridLine& grid = line(i, j / size_);
    const int code = grid.code(x);
    codes_.view().data[i * to_.cols + j] = static_cast<std::uint8_t>(code);
    return grid.value(code);
  }
  void end(Index i) {
    to_.set_codes(i, {codes_.view().data + i * to_.cols, static_cast<std::size_t>(to_.cols)});
    for (Index g = 0; g < groups(); ++g) line(i, g).write(to_, i, g);
  }

 private:
  [[nodiscard]] Index groups() const { return to_.scale.shape().cols(); }
  [[nodiscard]] Index extent(Index g) const { return std::min(size_, to_.cols - g * size_); }
  [[nodiscard]] GridLine& line(Index i, Index g) { return lines_[static_cast<std::size_t>(i * groups() + g)]; }

  const InverseFactor& factor_;
  bool fixed_;
  Index size_;
  Grid::Matrix<float, Cpu>& to_;
  Tensor<std::uint8_t> codes_;
  std::vector<GridLine> lines_;
};

}  // namespace detail

struct Gptq {
  static constexpr std::string_view name = "gptq",
                                    summary = "columns one by one, later ones making up for earlier errors";
  static constexpr std::string_view source = "Frantar et al., ICLR 2023, arXiv 2210.17323";
  using Form = Grid;

  GridOptions grid{};
  FactorOptions hessian{};
  Index block = 128;

  [[nodiscard]] Grid form() const { return grid.form(); }

  void operator()(const CalibratedLayer& layer, Grid::Matrix<float, Cpu>& to) const {
    if (DeviceHessian* const device = layer.inputs.on_device()) {
      static_cast<void>(layer.inputs.inverse_factor_on_device(hessian));
      return device->sweep_grids(layer.weight, block, hessian.activation_order, to);
    }
    const InverseFactor& factor = layer.inputs.inverse_factor(hessian);
    detail::GridRows rows(factor, hessian.activation_order, to);
    sweep_columns(layer.weight, factor, block, rows);
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("grid", self.grid, "", any);
    v("hessian", self.hessian, "", any);
    v("block", self.block, "columns whose errors the later ones hear of at once", at_least(1));
  }
};
static_assert(PostTrainingMethod<Gptq>);

}  // namespace binllm
