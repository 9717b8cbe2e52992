// SPDX-License-Identifier: MIT
#include "reference/views.hpp"

#include <binllm/ops/binarize.hpp>
#include <binllm/policy/runtime.hpp>

#include <doctest/doctest.h>

#include <xtensor/xtensor.hpp>

using namespace binllm;
using reference::Cube;
using test::normal_tensor;

namespace {

constexpr Index rows = 6, cols = 66, group = 11;

struct Case {
  std::string_view granularity;
  reference::Grouping grouping;
};
const std::array<Case, 4> cases{
    Case{"row", reference::by_row(rows, cols)}, Case{"column", reference::by_column(rows, cols)},
    Case{"tensor", reference::by_tensor(rows, cols)}, Case{"group:11", reference::by_group(rows, cols, group)}};

/// The reference's value and gradients for a scale policy.
struct Wanted {
  Cube value;
  reference::BinarizeGradients gradients;
  Wanted(const ScaleTraits& traits, const reference::Grouping& grouping, const Cube& w, const Cube& s_l, double t,
         const Cube& g)
      : value(traits.analytic ? reference::dual(w, s_l, t, grouping) : reference::learned(w, s_l, t)),
        gradients(traits.analytic ? reference::dual_backward(w, s_l, t, grouping, g, traits.attached)
                                  : reference::learned_backward(w, s_l, t, grouping, g)) {}
};

template <class T>
void check(const Case& what, std::string_view scale_name, double t) {
  CAPTURE(what.granularity);
  CAPTURE(scale_name);
  CAPTURE(t);
  const auto scale = RuntimeScale<T>::named(scale_name, what.granularity);
  const ScaleTraits traits = scale.traits();
  const Shape scales = traits.shape(rows, cols);
  const auto w = normal_tensor<T>({rows, cols}, 1), dy = normal_tensor<T>({rows, cols}, 2);
  const auto s_l = normal_tensor<T>(traits.learned ? scales : Shape{0}, 3, 0.2, 1);
  const Tensor<double> sharpness = test::list({t});
  Tape tape;
  const auto weight = tape.variable(w.view()), learned = tape.variable(s_l.view());
  const auto wb = binarize_weight(weight, learned, sharpness.view(), RuntimeEstimator<T>::named("progressive"), scale);
  reference::backward(wb, dy);

  const Cube in = reference::block<3>(w.view(), what.grouping.shape);
  Cube by = xt::ones_like(reference::group_mean(in, what.grouping));
  if (traits.learned) std::copy_n(s_l.view().data, s_l.size(), by.begin());
  const Wanted wanted(traits, what.grouping, in, by, t, reference::block<3>(dy.view(), what.grouping.shape));
  CHECK(reference::distance(wb.value(), wanted.value) < reference::tolerance<T>);
  CHECK(reference::distance(weight.gradient(), wanted.gradients.w) < reference::tolerance<T>);
  if (traits.learned)
    CHECK(reference::distance(learned.gradient(), wanted.gradients.learned) < reference::tolerance<T>);
}

}  // namespace

TEST_CASE_TEMPLATE("the binarising op agrees with the reference: granularities, scales, sharpness", T, float, double) {
  for (const Case& what : cases) {
    for (const std::string_view scale : {"dual", "dual-detached", "analytic", "analytic-detached", "learned"}) {
      for (const double t : {0.3199, 2.6054, 10.4325, 104.5861}) check<T>(what, scale, t);
    }
  }
}
