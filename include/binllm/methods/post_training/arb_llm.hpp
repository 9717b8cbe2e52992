// SPDX-License-Identifier: MIT
/// ARB-LLM (Li et al., ICLR 2025, arXiv 2410.03129): BiLLM's groups, and means, scales and signs that are improved in
/// turn, each the best one for the others.
#pragma once
#include <binllm/methods/post_training/alternating_signs.hpp>
#include <binllm/methods/post_training/planes_method.hpp>
#include <binllm/methods/post_training/row_column_signs.hpp>

namespace binllm {

struct ArbOptions {
  PlanesOptions planes{};
  Index rounds = 15;
  bool column_groups = true;  ///< the column-group bitmap, CGB

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("planes", self.planes, "", any);
    v("rounds", self.rounds, "times that mean, scales and signs are improved in turn", at_least(0));
    v("column_groups", self.column_groups, "two groups in salient columns, too (CGB)", any);
  }
};

/// ARB: the error of the weights.
struct Arb {
  static constexpr std::string_view name = "arb";
  static constexpr std::string_view summary = "BiLLM with means, scales and signs improved in turn";
  static constexpr std::string_view source = "Li et al., ICLR 2025, arXiv 2410.03129";
  using Form = SignPlanes;

  ArbOptions arb{.column_groups = false};

  [[nodiscard]] SignPlanes form() const { return {.block = arb.planes.block, .salient_groups = arb.column_groups}; }

  /// Errors: those of write_planes.
  template <class T>
  void operator()(const CalibratedLayer& layer, SignPlanes::Matrix<T, Cpu>& to) const {
    write_planes(layer, arb.planes, to, [&](const PlanesTask& task) {
      const BlockGroups groups = find_groups(task.score, SalientColumns::of(task.score), arb.column_groups);
      return planes_by_row(task.w, groups, AlternatingSigns{arb.rounds});
    });
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    ArbOptions::visit(v, self.arb);
  }
};

/// ARB-LLM_X: means and scales for the error of what the layer gives, and so is the threshold of columns with one plane.
struct ArbX {
  static constexpr std::string_view name = "arb-x";
  static constexpr std::string_view summary = "ARB, and then means and scales for the calibration inputs";
  static constexpr std::string_view source = Arb::source;
  using Form = SignPlanes;

  ArbOptions arb{};

  [[nodiscard]] SignPlanes form() const { return {.block = arb.planes.block, .salient_groups = arb.column_groups}; }

  /// Errors: those of write_planes.
  template <class T>
  void operator()(const CalibratedLayer& layer, SignPlanes::Matrix<T, Cpu>& to) const {
    const AlternatingSigns start{arb.rounds};
    write_planes(layer, arb.planes, to, [&](const PlanesTask& task) {
      const SalientColumns columns = SalientColumns::of(task.score);
      const BlockRows left = left_of_salient(task.score, columns.salient, start);
      const BlockGroups groups = find_groups(task.score, columns, arb.column_groups, task.inputs, &left);
      return planes_by_row(task.w, groups, CalibratedSigns{start, task.inputs, arb.rounds});
    });
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    ArbOptions::visit(v, self.arb);
  }

 private:
  /// What ARB leaves of the scores of salient columns.
  [[nodiscard]] static BlockRows left_of_salient(const BlockRows& score, const std::vector<Index>& salient,
                                                 const AlternatingSigns& fit) {
    BlockRows some(score.rows(), static_cast<Index>(salient.size())),
        left = BlockRows::Zero(score.rows(), score.cols());
    for (Index k = 0; k < some.cols(); ++k) some.col(k) = score.col(salient[static_cast<std::size_t>(k)]);
    const BlockRows found = planes_by_row(some, BlockGroups::Constant(some.rows(), some.cols(), 2), fit).restored();
    for (Index k = 0; k < some.cols(); ++k) left.col(salient[static_cast<std::size_t>(k)]) = some.col(k) - found.col(k);
    return left;
  }
};

/// ARB-LLM_RC: scales of rows and columns in place of means.
struct ArbRc {
  static constexpr std::string_view name = "arb-rc";
  static constexpr std::string_view summary = "signs with scales of rows and columns, improved in turn; no means";
  static constexpr std::string_view source = Arb::source;
  using Form = SignPlanes;

  ArbOptions arb{};

  [[nodiscard]] SignPlanes form() const {
    return {.block = arb.planes.block, .salient_groups = arb.column_groups, .column_scales = true};
  }

  /// Errors: those of write_planes.
  template <class T>
  void operator()(const CalibratedLayer& layer, SignPlanes::Matrix<T, Cpu>& to) const {
    write_planes(layer, arb.planes, to, [&](const PlanesTask& task) {
      const BlockGroups groups = find_groups(task.score, SalientColumns::of(task.score), arb.column_groups);
      return RowColumnSigns{arb.rounds}(task.w, groups);
    });
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    ArbOptions::visit(v, self.arb);
  }
};
static_assert(PostTrainingMethod<Arb> && PostTrainingMethod<ArbX> && PostTrainingMethod<ArbRc>);

}  // namespace binllm
