// SPDX-License-Identifier: MIT
/// BiLLM (Huang et al., ICML 2024, arXiv 2402.04291).
#pragma once
#include <binllm/methods/post_training/planes_method.hpp>

namespace binllm {

/// In each block of 128 columns the salient ones get two planes of signs, the others one; of these, small and large
/// weights have means and scales of their own. Later columns make up for what a block loses.
struct BiLlm {
  static constexpr std::string_view name = "billm";
  static constexpr std::string_view summary = "signs of small and large weights, two planes in salient columns";
  static constexpr std::string_view source = "Huang et al., ICML 2024, arXiv 2402.04291";
  using Form = SignPlanes;

  PlanesOptions planes{};

  [[nodiscard]] SignPlanes form() const { return {.block = planes.block}; }

  /// Errors: those of write_planes.
  template <class T>
  void operator()(const CalibratedLayer& layer, SignPlanes::Matrix<T, Cpu>& to) const {
    write_planes(layer, planes, to, [](const PlanesTask& task) {
      const BlockGroups groups = find_groups(task.score, SalientColumns::of(task.score), false);
      return planes_by_row(task.w, groups, ResidualSigns{});
    });
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("planes", self.planes, "", any);
  }
};
static_assert(PostTrainingMethod<BiLlm>);

}  // namespace binllm
