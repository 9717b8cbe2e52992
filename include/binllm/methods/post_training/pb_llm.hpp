// SPDX-License-Identifier: MIT
/// PB-LLM without training (Shang et al., ICLR 2024, arXiv 2310.00034; code hahnyuan/PB-LLM, gptq_pb).
#pragma once
#include <binllm/methods/forms/salient.hpp>
#include <binllm/methods/post_training/column_sweep.hpp>
#include <binllm/methods/post_training/planes_method.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace binllm {

namespace detail {

/// Numbers of one row. A weight is rounded to
///     scale sgn(w - mean) + mean       one that is binary, in the mean over all columns, in which salient ones count as 0
///     step (q - zero), q = 0 .. 255     one that is salient, from the least to the largest weight, 0 among them
struct PartlyBinaryRow {
  double mean = 0, scale = 0, step = 0, zero = 0;

  /// Of weights w, and of those of them that are binary with zeros elsewhere.
  template <class Row, class Binary>
  [[nodiscard]] static PartlyBinaryRow of(const Row& w, const Binary& binary) {
    PartlyBinaryRow row;
    row.mean = binary.mean();
    row.scale = (binary - row.mean).abs().mean();
    const double least = std::min(w.minCoeff(), 0.0), largest = std::max(w.maxCoeff(), 0.0);
    row.step = least == largest ? 2.0 / 255 : (largest - least) / 255;
    row.zero = least == largest ? 128 : std::nearbyint(-least / row.step);
    return row;
  }
  [[nodiscard]] double rounded(double w, bool salient) const {
    if (salient) return step * (std::clamp(std::nearbyint(w / step) + zero, 0.0, 255.0) - zero);
    return mean + (w >= mean ? scale : -scale);
  }
};

/// What the sweep over columns asks.
class PartlyBinaryRows {
 public:
  PartlyBinaryRows(const BlockRows& salient, std::vector<PartlyBinaryRow> rows)
      : rounded(salient.rows(), salient.cols()), salient_(salient), rows_(std::move(rows)) {}

  BlockRows rounded;

  void begin(Index, const double*) const {}
  void begin_block(Index, Index, Index, const double*) const {}
  [[nodiscard]] double round(Index i, Index j, double w) {
    return rounded(i, j) = rows_[static_cast<std::size_t>(i)].rounded(w, salient_(i, j) > 0);
  }
  void end(Index) const {}

 private:
  const BlockRows& salient_;
  std::vector<PartlyBinaryRow> rows_;
};

}  // namespace detail

/// The most salient weights of a matrix in eight bits and the others as signs, column by column, the later ones making up
/// for the errors of the earlier ones.
struct PbLlmAfterTraining {
  static constexpr std::string_view name = "pb-llm";
  static constexpr std::string_view summary = "the most salient weights in 8 bits, signs elsewhere";
  static constexpr std::string_view source = "Shang et al., ICLR 2024, arXiv 2310.00034";
  using Form = Salient;

  double salient = 0.1;  ///< share of weights in eight bits
  double damping = 0.01;
  bool magnitudes = false;  ///< decide what is salient
  Index block = 128;

  [[nodiscard]] Salient form() const { return {salient}; }

  /// Errors: those of Calibration::inverse_factor.
  template <class T>
  void operator()(const CalibratedLayer& layer, SalientMatrix<T, Cpu>& to) const {
    const InverseFactor& factor = layer.inputs.inverse_factor({.damping = damping});
    BlockRows w = layer.weight.matrix().template cast<double>().array();
    std::vector<detail::PartlyBinaryRow> numbers(static_cast<std::size_t>(w.rows()));
    const BlockRows dense = w;  // eight bits are those of the weight before columns without input become zeros
    for (const Index j : factor.dead) w.col(j).setZero();
    const BlockRows mask = salient_weights(saliency(w, factor.upper.view(), 0, magnitudes).abs());
    for (Index i = 0; i < w.rows(); ++i) {
      const auto row = detail::PartlyBinaryRow::of(dense.row(i), w.row(i) * (1 - mask.row(i)));
      numbers[static_cast<std::size_t>(i)] = row;
      to.mean.view().data[i] = static_cast<T>(row.mean), to.scale.view().data[i] = static_cast<T>(row.scale);
      to.step.view().data[i] = static_cast<T>(row.step), to.low.view().data[i] = static_cast<T>(-row.step * row.zero);
    }
    detail::PartlyBinaryRows rows(mask, std::move(numbers));
    sweep_columns(layer.weight, factor, block, rows);
    Tensor<T> found(Shape{w.rows(), w.cols()}), marked(found.shape());
    found.view().matrix() = rows.rounded.matrix().template cast<T>();
    marked.view().matrix() = mask.matrix().template cast<T>();
    to.set(read(found.view()), read(marked.view()));
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("salient", self.salient, "share of the weights in eight bits", between(0, 1));
    v("damping", self.damping, "added to the Hessian's diagonal, as a share of its mean", at_least(0));
    v("magnitudes", self.magnitudes, "weights are salient by their size, not by what it costs to lose them", any);
    v("block", self.block, "columns whose errors the later ones hear of at once", at_least(1));
  }

 private:
  /// 1 for the weights above the score whose place among all is (1 - salient) n, else 0.
  [[nodiscard]] BlockRows salient_weights(const BlockRows& score) const {
    std::vector<double> sorted(score.data(), score.data() + score.size());
    const auto n = static_cast<double>(score.size());
    const auto place = std::min(static_cast<std::ptrdiff_t>(n * (1 - salient)), static_cast<std::ptrdiff_t>(n) - 1);
    std::nth_element(sorted.begin(), sorted.begin() + place, sorted.end());
    return (score > sorted[static_cast<std::size_t>(place)]).cast<double>();
  }
};
static_assert(PostTrainingMethod<PbLlmAfterTraining>);

}  // namespace binllm
