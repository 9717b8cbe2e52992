// SPDX-License-Identifier: MIT
// The binarising op: every estimator with every scale, over granularities and sharpnesses.
#include "cuda/ops.hpp"

#include <binllm/policy/runtime.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr std::array sharpnesses{0.0, 0.3, 5.0, std::numeric_limits<double>::infinity()};
constexpr std::array granularities{Granularity::row, Granularity::column, Granularity::tensor, Granularity::group};

/// dual, analytic, learned; the first two with and without a gradient through S_a. Groups of a divisor of `cols`.
std::vector<ScaleTraits> scales(Granularity granularity, Index cols) {
  Index group = 0;
  if (granularity == Granularity::group) group = cols % 13 == 0 ? 13 : cols % 32 == 0 ? 32 : 1;
  return {{granularity, group, true, true, true},
          {granularity, group, true, true, false},
          {granularity, group, true, false, true},
          {granularity, group, true, false, false},
          {granularity, group, false, true, true}};
}

/// Weights with a row and a column of zeros, where there are others.
Weight weights(Shape shape) {
  Weight w = weight(shape, 7);
  auto block = w.values.view().matrix();
  if (shape[0] > 1) block.row(0).setZero();
  if (shape[1] > 1) block.col(0).setZero();
  return w;
}
Weight learned_scale(const ScaleTraits& traits, const Shape& shape) {
  return weight(traits.learned ? traits.shape(shape[0], shape[1]) : Shape{0}, 8, 0.1, 1);
}

/// Every scale policy over W (O,I), in floats and doubles by itself, and in bf16 through a linear layer.
template <template <class> class E>
void check_estimator(const Shape& shape, Granularity granularity, double t) {
  Tensor<double> sharpness({1});
  *sharpness.view().data = t;
  for (const ScaleTraits& traits : scales(granularity, shape[1])) {
    CAPTURE(to_string(shape));
    CAPTURE(static_cast<int>(granularity));
    CAPTURE(t);
    CAPTURE(traits.analytic);
    CAPTURE(traits.learned);
    CAPTURE(traits.attached);
    const auto alone = [&](auto& round, auto w, auto learned) {
      using M = typename decltype(w)::Scalar;
      return binarize_weight(w, learned, round.data(sharpness), E<M>{}, binllm::cuda::ScaleByTraits<M>{traits});
    };
    const auto in_layer = [&](auto& round, auto x, auto w, auto learned) {
      using R = std::remove_reference_t<decltype(round)>;
      using M = typename R::Master;
      using Function = BinaryWeight<E<M>, binllm::cuda::ScaleByTraits<M>, typename R::Device>;
      return transient_linear(x, Function{E<M>{}, {traits}, w, learned, round.data(sharpness)});
    };
    const Weight w = weights(shape), learned = learned_scale(traits, shape);
    check_op_in_each<float, double>(alone, w, learned);
    check_op_in_each<bf16>(in_layer, activation({9, shape[1]}, 1), w, learned);
  }
}

template <template <class> class E>
void check_estimator() {
  for (const Granularity granularity : granularities) {
    for (const double t : sharpnesses) check_estimator<E>({33, 65}, granularity, t);
  }
}

}  // namespace

TEST_CASE("cuda ops: binarize, progressive sign") {
  if (!gpu()) return;
  check_estimator<ProgressiveSign>();
}
TEST_CASE("cuda ops: binarize, straight-through") {
  if (!gpu()) return;
  check_estimator<StraightThrough>();
}
TEST_CASE("cuda ops: binarize, error decay") {
  if (!gpu()) return;
  check_estimator<ErrorDecay>();
}
TEST_CASE("cuda ops: binarize, progressive in forward alone") {
  if (!gpu()) return;
  check_estimator<ProgressiveForward>();
}

TEST_CASE("cuda ops: binarize, estimators by name") {
  if (!gpu()) return;
  Tensor<double> sharpness({1});
  *sharpness.view().data = 2;
  const ScaleTraits traits = scales(Granularity::row, 65).front();
  for (const std::string_view name : {"progressive", "vanilla", "ede", "progressive-forward"}) {
    CAPTURE(name);
    const auto op = [&](auto& round, auto w, auto learned) {
      using M = typename decltype(w)::Scalar;
      return binarize_weight(w, learned, round.data(sharpness), RuntimeEstimator<M>::named(name),
                             binllm::cuda::ScaleByTraits<M>{traits});
    };
    check_op_in_each<float>(op, weights({33, 65}), learned_scale(traits, {33, 65}));
  }
}

TEST_CASE("cuda ops: binarize, other shapes") {
  if (!gpu()) return;
  for (const Shape& shape :
       {Shape{1, 1}, Shape{1, 70}, Shape{70, 1}, Shape{7, 13}, Shape{130, 576}, Shape{3, 5000}, Shape{64, 4096}}) {
    for (const Granularity granularity : granularities) check_estimator<ProgressiveSign>(shape, granularity, 2);
  }
}

TEST_CASE("cuda ops: the mean magnitude, for each granularity") {
  if (!gpu()) return;
  for (const Granularity granularity : granularities) {
    const ScaleTraits traits = scales(granularity, 65).front();
    const auto mean = [&]<class D>(D) {
      const auto w = on_device<D>(normal_tensor<float>({33, 65}, 1));
      Tensor<float, D> result(traits.shape(33, 65));
      Kernel<MeanMagnitude, D>::forward(traits, read(w.view()), result.view());
      return in_double(result.view());
    };
    CHECK(relative_distance(mean(Cuda{}), mean(Cpu{})) < 1e-6);
  }
}
