// SPDX-License-Identifier: MIT
/// What methods that write planes of signs share: their options, the score of each weight, the way through a layer.
#pragma once
#include <binllm/methods/post_training/calibrated_layer.hpp>
#include <binllm/methods/post_training/row_planes.hpp>

#include <cmath>
#include <utility>
#include <vector>

namespace binllm {

/// How much each weight matters, of columns that begin at `first`:
///     W_ij^2 / U_jj^2    what it costs to lose it when later columns make up for it, H^-1 = U^T U
///     W_ij               where magnitudes are to decide, with its sign
[[nodiscard]] inline BlockRows saliency(const BlockRows& w, View<const double> upper, Index first, bool magnitudes) {
  if (magnitudes) return w;
  BlockRows score = w.square();
  for (Index j = 0; j < w.cols(); ++j) {
    const double diagonal = upper.data[(first + j) * (upper.cols() + 1)];
    score.col(j) /= diagonal * diagonal;
  }
  return score;
}

struct PlanesOptions {
  Index block = 128;
  double damping = 0.01;
  bool magnitudes = false;  ///< decide what is salient

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("block", self.block, "columns that share scales", at_least(1));
    v("damping", self.damping, "added to the Hessian's diagonal, as a share of its mean", at_least(0));
    v("magnitudes", self.magnitudes, "weights are salient by their size, not by what it costs to lose them", any);
  }
};

/// A block of columns of a layer, as the earlier ones have left it.
struct PlanesTask {
  const BlockRows& w;
  BlockRows score;            ///< saliency of each weight
  View<const double> inputs;  ///< the Hessian of these columns, (columns, columns)
};

/// Writes the weight of a layer in planes, block by block: `planes(task)` finds those of a block. Columns without input
/// become zeros. Errors: those of Calibration::inverse_factor.
template <class T, class FindPlanes>
void write_planes(const CalibratedLayer& layer, const PlanesOptions& options, SignPlanes::Matrix<T, Cpu>& to,
                  const FindPlanes& planes) {
  const InverseFactor& factor = layer.inputs.inverse_factor({.damping = options.damping});
  const View<const double> upper = factor.upper.view(), hessian = layer.inputs.hessian();
  BlockRows w = layer.weight.matrix().template cast<double>().array();
  for (const Index j : factor.dead) w.col(j).setZero();
  quantise_blocks(w, upper, options.block, [&](Index first, const BlockRows& columns) {
    const Index n = columns.cols();
    BlockRows inputs(n, n);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) inputs(i, j) = hessian.data[(first + i) * hessian.cols() + first + j];
    }
    const PlanesBlock found =
        planes(PlanesTask{columns, saliency(columns, upper, first, options.magnitudes), {inputs.data(), Shape{n, n}}});
    to.set_block(first, found);
    return found.restored();
  });
}

/// The groups of a block: small and large weights of columns with one plane, and of salient columns where these are to
/// be split, too. `error_of` may be S of ThresholdSearch for the columns with one plane, and `left` what their salient
/// neighbours leave.
[[nodiscard]] inline BlockGroups find_groups(const BlockRows& score, const SalientColumns& columns, bool split_salient,
                                             View<const double> inputs = {}, const BlockRows* left = nullptr) {
  BlockGroups groups = BlockGroups::Zero(score.rows(), score.cols());
  for (const Index j : columns.salient) groups.col(j) = 2;
  const BlockRows nothing = BlockRows::Zero(score.rows(), score.cols());
  const auto magnitudes = [&](const std::vector<Index>& some) {
    std::vector<double> list;
    for (const Index j : some) {
      for (Index i = 0; i < score.rows(); ++i) list.push_back(std::abs(score(i, j)));
    }
    return list;
  };
  if (split_salient && !columns.salient.empty()) {
    std::vector<double> list = magnitudes(columns.salient);
    std::erase(list, 0.0);
    const ThresholdSearch search{score, nothing, {}};
    mark_large(score, columns.salient, search.best(columns.salient, 2, detail::thresholds_of(std::move(list))), groups);
  }
  std::vector<double> list = magnitudes(columns.rest);  // salient weights count as zeros
  list.resize(static_cast<std::size_t>(score.size()));
  const ThresholdSearch search{score, left == nullptr ? nothing : *left, inputs};
  mark_large(score, columns.rest, search.best(columns.rest, 1, detail::thresholds_of(std::move(list))), groups);
  return groups;
}

}  // namespace binllm
