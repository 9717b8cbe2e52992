// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/binarize.hpp>
#include <binllm/policy/runtime.hpp>

#include <cmath>
#include <limits>
#include <string_view>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::array<std::string_view, 4> granularities{"row", "column", "tensor", "group:11"};
struct NameOf {
  template <NamedType P>
  constexpr std::string_view operator()() const {
    return P::name;
  }
};
constexpr auto scales = table_of<ShippedScales<double>>(NameOf{});
constexpr auto estimators = table_of<ShippedEstimators<double>>(NameOf{});

/// The op with policies by name: one instantiation for all of them.
struct Named {
  RuntimeEstimator<double> estimator;
  RuntimeScale<double> scale;
  Tensor<double> t{{1}};

  Named(std::string_view estimator_name, std::string_view scale_name, std::string_view granularity, double sharpness)
      : estimator(RuntimeEstimator<double>::named(estimator_name)),
        scale(RuntimeScale<double>::named(scale_name, granularity)) {
    *t.view().data = sharpness;
  }
  template <class Device>
  Variable<double, Device> operator()(Variable<double, Device> w, Variable<double, Device> learned) const {
    return binarize_weight(w, learned, read(w.tape().constant(t.view()).value()), estimator, scale);
  }
  /// Numbers around `mean` for S_l; none where the policy learns nothing.
  [[nodiscard]] Tensor<double> learned(const Shape& weight, double mean, double spread) const {
    const ScaleTraits traits = scale.traits();
    return normal_tensor(traits.learned ? traits.shape(weight[0], weight[1]) : Shape{0}, 8, spread, mean);
  }
};

/// Random weights at least 0.1 from 0, where |W| has no derivative.
Tensor<double> weights(Shape shape) {
  Tensor<double> w = normal_tensor(shape, 7);
  w.view().flat() += 0.1 * w.view().flat().sign();
  return w;
}

Tensor<double> value(const Named& op, const Tensor<double>& w, const Tensor<double>& learned) {
  Tape tape;
  return host(op(tape.constant(w.view()), tape.constant(learned.view())).value());
}

}  // namespace

TEST_CASE("binarize: values at t = inf, for each granularity, with S_l and without") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto w = tape.template constant<double>({{1, -3}, {2, 2}});
    const auto none = tape.constant(View<const double>(nullptr, {0}));
    const auto at = [&](std::string_view granularity) {
      return host(Named("progressive", "analytic", granularity, infinity)(w, none).value());
    };
    CHECK(largest_difference(at("row").view(), {2, -2, 2, 2}) == 0);
    CHECK(largest_difference(at("column").view(), {1.5, -2.5, 1.5, 2.5}) == 0);
    CHECK(largest_difference(at("tensor").view(), {2, -2, 2, 2}) == 0);
    CHECK(largest_difference(at("group:1").view(), {1, -3, 2, 2}) == 0);
    CHECK(largest_difference(at("group:2").view(), {2, -2, 2, 2}) == 0);
    const auto learned = tape.template constant<double>({{10, 0.5}}).reshaped({2});
    const auto dual = Named("progressive", "dual", "row", infinity)(w, learned);
    CHECK(largest_difference(dual.value(), {20, -20, 1, 1}) == 0);
    const auto alone = Named("progressive", "learned", "column", infinity)(w, learned);
    CHECK(largest_difference(alone.value(), {10, -0.5, 10, 0.5}) == 0);
  });
}

TEST_CASE("binarize: values at finite t: S_l S_a F(W / S_a, t), and S_l W at t = 0") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto w = tape.template constant<double>({{1, -3}, {2, 2}});
    const auto learned = tape.template constant<double>({{10, 0.5}}).reshaped({2});
    const double f1 = std::tanh(1.0) / std::tanh(2.0), f3 = std::tanh(3.0) / std::tanh(2.0);
    const auto soft = Named("progressive", "dual", "row", 2)(w, learned);
    CHECK(largest_difference(soft.value(), {20 * f1, -20 * f3, 1, 1}) < 1e-14);
    const auto identity = Named("progressive", "dual", "row", 0)(w, learned);
    CHECK(largest_difference(identity.value(), {10, -30, 1, 1}) < 1e-14);
    const auto alone = Named("progressive", "learned", "row", 2)(w, learned);
    const double small = 10 * std::tanh(0.2) / std::tanh(2.0), minus = -10 * std::tanh(0.6) / std::tanh(2.0);
    const double large = 0.5 * std::tanh(8.0) / std::tanh(2.0);
    CHECK(largest_difference(alone.value(), {small, minus, large, large}) < 1e-14);
  });
}

TEST_CASE("binarize: gradients of the exact policies, over granularities, shapes and t") {
  for (const std::string_view scale : {"dual", "analytic", "learned"}) {
    for (const std::string_view granularity : granularities) {
      for (const double t : {0.0, 1e-4, 0.7, 3.0}) {
        if (scale == "learned" && t < 0.1) continue;  // dS_l is of the order t^2, below what differences can see
        const Named op("progressive", scale, granularity, t);
        Tensor<double> w = weights({5, 33}), learned = op.learned(w.shape(), 1, 0.1);
        CAPTURE(scale);
        CAPTURE(granularity);
        CAPTURE(t);
        CHECK(gradient_error_of(op, w, learned) < 1e-6);
        CHECK(frozen_inputs_work(op, w, learned));
      }
    }
  }
}

TEST_CASE("binarize: gradients of one weight, one row and one column") {
  for (const Shape& shape : {Shape{1, 1}, Shape{1, 70}, Shape{70, 1}}) {
    for (const std::string_view granularity : {"row", "column", "tensor", "group:1"}) {
      const Named op("progressive", "dual", granularity, 2);
      Tensor<double> w = weights(shape), learned = op.learned(shape, 1, 0.1);
      CHECK(gradient_error_of(op, w, learned) < 1e-6);
    }
  }
}

TEST_CASE("binarize: detached differs from attached by S_l sgn(W) / n sum g (F - x F') of the group, and by no more") {
  Tensor<double> w = weights({4, 33});
  const Tensor<double> g = normal_tensor(w.shape(), 99);  // what `weighted` hands back
  for (const double t : {0.7, 3.0}) {
    const Named attached("progressive", "dual", "row", t), detached("progressive", "dual-detached", "row", t);
    Tensor<double> learned = attached.learned(w.shape(), 1, 0.1);
    const auto with = gradients_of(attached, 0, w, learned), without = gradients_of(detached, 0, w, learned);
    CHECK(same_bits(with[1].view(), without[1].view()));
    Tensor<double> wanted(w.shape());
    for (Index r = 0; r < 4; ++r) {
      const double s = w.view().row(r).abs().mean();
      double sum = 0;
      for (Index c = 0; c < 33; ++c) {
        const double x = w.view().row(r)[c] / s, slope = ProgressiveSign<double>::slope(x, t);
        sum += g.view().row(r)[c] * (ProgressiveSign<double>::value(x, t) - x * slope);
      }
      wanted.view().row(r) = learned.view().data[r] * w.view().row(r).sign() / 33 * sum;
    }
    const Eigen::ArrayXd found = with[0].view().flat() - without[0].view().flat();
    CHECK((found - wanted.view().flat()).abs().maxCoeff() < 1e-13);
    CHECK(found.abs().maxCoeff() > 1e-3);
  }
}

TEST_CASE("binarize: vanilla with a detached analytic scale hands the gradient through unchanged") {
  for (const std::string_view granularity : granularities) {
    const Named op("vanilla", "analytic-detached", granularity, 3);
    Tensor<double> w = weights({5, 33}), none = op.learned(w.shape(), 1, 0);
    CHECK(same_bits(gradients_of(op, 0, w, none)[0].view(), normal_tensor(w.shape(), 99).view()));
  }
}

TEST_CASE("binarize: a group of zeros has value zero and gradient zero, whatever the policies") {
  Tensor<double> w({3, 33});
  for (const std::string_view estimator : estimators) {
    for (const std::string_view scale : scales) {
      for (const std::string_view granularity : granularities) {
        for (const double t : {0.0, 2.0, infinity}) {
          CAPTURE(estimator);
          CAPTURE(scale);
          CAPTURE(granularity);
          CAPTURE(t);
          const Named op(estimator, scale, granularity, t);
          Tensor<double> learned = op.learned(w.shape(), scale == "learned" ? 0 : 1, 0);
          CHECK((value(op, w, learned).view().flat() == 0).all());
          const auto gradients = gradients_of(op, 0, w, learned);
          CHECK((gradients[0].view().flat() == 0).all());
          CHECK((gradients[1].view().flat() == 0).all());
        }
      }
    }
  }
}

TEST_CASE("binarize: where nothing is learned, nothing is written behind the empty gradient of S_l") {
  const Tensor<double> w = weights({4, 33}), g = normal_tensor(w.shape(), 9);
  for (const std::string_view scale : {"analytic", "analytic-detached"}) {
    for (const std::string_view granularity : granularities) {
      const Named op("progressive", scale, granularity, 2);
      using K = Kernel<Binarize<RuntimeEstimator<double>, RuntimeScale<double>>, Cpu>;
      Tensor<double> memory({K::workspace(op.scale, w.shape())}), dw(w.shape()), neighbours({200});
      const View<double> empty(neighbours.view().data, {0});
      K::backward(op.estimator, op.scale, w.view(), read(empty), op.t.view().data, g.view(), memory.view(), dw.view(),
                  empty);
      CHECK(dw.view().flat().abs().maxCoeff() > 0);
      CHECK((neighbours.view().flat() == 0).all());
    }
  }
}

TEST_CASE("binarize: a row of zeros, or of subnormal numbers, leaves the others as they are") {
  const Named op("progressive", "dual", "row", 2);
  Tensor<double> w = weights({3, 33}), learned = op.learned(w.shape(), 1, 0.1);
  const Tensor<double> before = value(op, w, learned);
  for (const double tiny : {0.0, 1e-310}) {
    w.view().row(1) = 0;
    w.view().row(1)[5] = tiny;
    const Tensor<double> after = value(op, w, learned);
    const auto gradients = gradients_of(op, 0, w, learned);
    CHECK(same_bits(after.view().slice(0), before.view().slice(0)));
    CHECK(same_bits(after.view().slice(2), before.view().slice(2)));
    CHECK(after.view().row(1).abs().maxCoeff() <= 1e-300);
    CHECK(gradients[0].view().flat().allFinite());
    CHECK(gradients[1].view().flat().allFinite());
  }
}

TEST_CASE("binarize: with an analytic scale, c W gives c W_b and the same gradient of W") {
  Tensor<double> w = weights({4, 33}), larger(w.shape());
  larger.view().flat() = 4 * w.view().flat();  // exact
  for (const std::string_view estimator : estimators) {
    for (const std::string_view scale : {"dual", "dual-detached", "analytic"}) {
      for (const std::string_view granularity : granularities) {
        const Named op(estimator, scale, granularity, 2.6);
        Tensor<double> learned = op.learned(w.shape(), 1, 0.1);
        const Tensor<double> once = value(op, w, learned), scaled = value(op, larger, learned);
        CHECK((scaled.view().flat() == 4 * once.view().flat()).all());
        const auto gradients = gradients_of(op, 0, larger, learned);
        CHECK(same_bits(gradients[0].view(), gradients_of(op, 0, w, learned)[0].view()));
      }
    }
  }
}

TEST_CASE("binarize: policies known to the compiler give the bits of those chosen by name") {
  Tensor<double> w = weights({4, 33}), t({1});
  *t.view().data = 2.6;
  const auto check = [&]<class E, class S>(E, S, const Named& named) {
    Tensor<double> learned = named.learned(w.shape(), 1, 0.1);
    const auto op = [&](auto weight, auto scale) { return binarize_weight<E, S>(weight, scale, read(t.view())); };
    const auto direct = gradients_of(op, 0, w, learned), by_name = gradients_of(named, 0, w, learned);
    CHECK(same_bits(direct[0].view(), by_name[0].view()));
    CHECK(same_bits(direct[1].view(), by_name[1].view()));
    Tape tape;
    const auto wb = op(tape.constant(read(w.view())), tape.constant(read(learned.view())));
    CHECK(same_bits(wb.value(), value(named, w, learned).view()));
  };
  using E = ProgressiveSign<double>;
  check(E{}, DualScale<double>{}, Named("progressive", "dual", "row", 2.6));
  check(E{}, AnalyticScale<double, Granularity::column, AnalyticGradient::detached>{},
        Named("progressive", "analytic-detached", "column", 2.6));
  check(E{}, LearnedScale<double, Granularity::group, 11>{}, Named("progressive", "learned", "group:11", 2.6));
}

namespace {

/// W_b, dW and dS_l of one kernel for the policies of those names, added to what is there.
template <class T>
struct Results {
  Tensor<T> wb, dw, dlearned;

  template <template <class, class> class K>
  static Results of(std::string_view estimator_name, std::string_view scale_name, std::string_view granularity,
                    double t, const Tensor<T>& w, const Tensor<T>& learned) {
    const auto estimator = RuntimeEstimator<T>::named(estimator_name);
    const auto scale = RuntimeScale<T>::named(scale_name, granularity);
    using Of = K<Binarize<RuntimeEstimator<T>, RuntimeScale<T>>, Cpu>;
    const Tensor<T> g = normal_tensor<T>(w.shape(), 12);
    Tensor<T> memory({Of::workspace(scale, w.shape())});
    Results r{Tensor<T>(w.shape()), normal_tensor<T>(w.shape(), 13), normal_tensor<T>(learned.shape(), 14)};
    Of::forward(estimator, scale, w.view(), learned.view(), &t, memory.view(), r.wb.view());
    Of::backward(estimator, scale, w.view(), learned.view(), &t, g.view(), memory.view(), r.dw.view(),
                 r.dlearned.view());
    return r;
  }
};

/// The largest difference relative to the largest number; infinite unless NaN stands in the same places.
template <class T>
double relative_difference(const Tensor<T>& found, const Tensor<T>& wanted) {
  double difference = 0, largest = 1;
  for (Index i = 0; i < wanted.size(); ++i) {
    const double a = found.view().data[i], b = wanted.view().data[i];
    if (std::isnan(a) != std::isnan(b)) return infinity;
    if (std::isnan(b)) continue;
    difference = std::max(difference, std::abs(a - b));
    largest = std::max(largest, std::abs(b));
  }
  return difference / largest;
}

struct Case {
  Shape shape;
  std::string_view granularity;
};
const std::array<Case, 10> cases{{{{3, 1}, "row"},
                                  {{5, 33}, "row"},
                                  {{7, 100}, "row"},
                                  {{40, 64}, "row"},
                                  {{3, 1}, "group:1"},
                                  {{6, 24}, "group:8"},
                                  {{7, 100}, "group:50"},
                                  {{4, 192}, "group:64"},
                                  {{5, 33}, "column"},
                                  {{7, 100}, "tensor"}}};

}  // namespace

TEST_CASE_TEMPLATE("binarize: the kernel that runs agrees with the generic one, for every policy", T, float, double) {
  const double tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-14;
  for (const Case& c : cases) {
    Tensor<T> w = normal_tensor<T>(c.shape, 11);
    for (const T special : {T(1), T(0), std::numeric_limits<T>::quiet_NaN()}) {  // a weight as others, a zero, a NaN
      w.view().data[w.size() / 2] = special;
      if (special == 0) w.view().row(0) = 0;
      for (const std::string_view estimator : estimators) {
        for (const std::string_view scale : scales) {
          const ScaleTraits traits = RuntimeScale<T>::named(scale, c.granularity).traits();
          const Shape groups = traits.learned ? traits.shape(c.shape[0], c.shape[1]) : Shape{0};
          const Tensor<T> learned = normal_tensor<T>(groups, 8, 0.1, 1);
          for (const double t : {0.0, 1e-4, 0.7, 3.0, 104.5861, infinity}) {
            if (special != 1 && t != 0.7 && t != infinity) continue;
            CAPTURE(c.shape[1]);
            CAPTURE(c.granularity);
            CAPTURE(estimator);
            CAPTURE(scale);
            CAPTURE(t);
            CAPTURE(special);
            const auto found = Results<T>::template of<Kernel>(estimator, scale, c.granularity, t, w, learned);
            const auto wanted = Results<T>::template of<GenericKernel>(estimator, scale, c.granularity, t, w, learned);
            CHECK(relative_difference(found.wb, wanted.wb) <= tolerance);
            CHECK(relative_difference(found.dw, wanted.dw) <= tolerance);
            CHECK(relative_difference(found.dlearned, wanted.dlearned) <= tolerance);
          }
        }
      }
    }
  }
}

TEST_CASE("binarize: a frozen weight or scale takes nothing from the gradient of the other") {
  for (const std::string_view scale : scales) {
    for (const std::string_view granularity : {"row", "group:11"}) {
      const Named op("progressive", scale, granularity, 2);
      Tensor<double> w = weights({5, 33}), learned = op.learned(w.shape(), 1, 0.1);
      CHECK(frozen_inputs_work(op, w, learned));
    }
  }
}

TEST_CASE("binarize: the same bits at any number of threads") {
  Tensor<double> w = weights({300, 220});
  for (const std::string_view granularity : granularities) {
    const Named op("progressive", "dual", granularity, 2.6);
    Tensor<double> learned = op.learned(w.shape(), 1, 0.1);
    const auto once = gradients_of(op, 0, w, learned);
    const Tensor<double> wb = value(op, w, learned);
    for (const int count : {2, 3}) {
      const Threads threads(count);
      const auto again = gradients_of(op, 0, w, learned);
      CHECK(same_bits(again[0].view(), once[0].view()));
      CHECK(same_bits(again[1].view(), once[1].view()));
      CHECK(same_bits(value(op, w, learned).view(), wb.view()));
    }
  }
}

TEST_CASE("binarize: errors") {
  Tape tape, other;
  const auto w = tape.constant<double>({{1, 2, 3}, {4, 5, 6}});
  const auto three = tape.constant<double>({{1, 2, 3}}).reshaped({3}),
             none = tape.constant(View<const double>(nullptr, {0}));
  const auto id = [&](std::string_view scale, std::string_view granularity, auto weight, auto learned) {
    return id_of([&] { (void)Named("progressive", scale, granularity, 1)(weight, learned); });
  };
  CHECK(id("dual", "row", w, three) == ErrorId::shape_mismatch);
  CHECK(id("dual", "row", w, none) == ErrorId::shape_mismatch);
  CHECK(id("analytic", "column", w, three) == ErrorId::shape_mismatch);
  CHECK(id("dual", "group:2", w, three) == ErrorId::config_inconsistent);
  CHECK(id("dual", "row", w.reshaped({6}), three) == ErrorId::rank_unsupported);
  CHECK(id("analytic", "row", tape.constant(View<const double>(nullptr, {0, 3})), none) == ErrorId::empty_tensor);
  CHECK(id("dual", "column", w, other.constant<double>({{1, 2, 3}}).reshaped({3})) == ErrorId::foreign_tape);
  (void)Named("progressive", "dual", "column", 1)(w, three);
}
