// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/autodiff/recompute.hpp>
#include <binllm/autodiff/variable.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/sum.hpp>

#include <pthread.h>

#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

/// y = (double) x: an op of the test's own that joins two scalar types.
Variable<double> widen(Variable<float> x) {
  auto y = x.tape().make<double>(x.shape());
  y.value().flat() = x.value().flat().cast<double>();
  x.tape().on_backward(
      y, [=] { x.gradient().flat() += y.gradient().flat().cast<float>(); }, x);
  return y;
}

/// y = x, counting how often its backward step runs.
Variable<double> counted(Variable<double> x, int* runs) {
  auto y = x.tape().make<double>(x.shape());
  y.value().flat() = x.value().flat();
  x.tape().on_backward(
      y, [=] { ++*runs, x.gradient().flat() += y.gradient().flat(); }, x);
  return y;
}

/// Runs `body` on a thread whose stack has 256 KiB.
template <class Body>
void on_small_stack(Body body) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  pthread_t thread{};
  const auto entry = [](void* object) -> void* {
    (*static_cast<Body*>(object))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, entry, &body) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace

TEST_CASE("leaves hold copies of what they were made of") {
  Tape tape;
  Tensor<double> values = normal_tensor({2, 3}, 1);
  const auto leaf = tape.variable(read(values.view()));
  const auto constant = tape.constant<float>({{1, 2}, {3, 4}});
  const double first = *values.view().data;
  values.view().flat() = 0;
  CHECK(*leaf.value().data == first);
  CHECK(leaf.shape() == Shape{2, 3});
  CHECK(leaf.needs_gradient());
  CHECK_FALSE(constant.needs_gradient());
  CHECK_FALSE(constant.gradient());
  CHECK(largest_difference(constant.value(), {1, 2, 3, 4}) == 0);
  CHECK(id_of([&] { (void)tape.variable<double>({{1, 2}, {3}}); }) == ErrorId::shape_mismatch);
}

TEST_CASE("borrowed memory is read in place and wants no gradient") {
  Tape tape;
  Tensor<double> values = normal_tensor({3}, 1);
  const auto borrowed = tape.borrow(values.view());
  CHECK(borrowed.value().data == values.view().data);
  CHECK_FALSE(borrowed.needs_gradient());
}

TEST_CASE("a diamond: both paths add up") {
  Tape tape;
  const auto x = tape.variable<double>({{2, -3}});
  const auto square = multiply(x, x);
  const auto y = sum(add(multiply(square, square), scale(square, 5)));  // x^4 + 5 x^2
  CHECK(*y.value().data == 16 + 20 + 81 + 45);
  tape.backward(y);
  CHECK(largest_difference(x.gradient(), {4 * 8 + 10 * 2, -4 * 27 - 10 * 3}) == 0);
}

TEST_CASE("the seed multiplies, and two backwards add up") {
  Tape tape;
  const auto x = tape.variable<double>({{2, -3}});
  const auto y = sum(multiply(x, x)), z = sum(scale(x, 10));
  tape.backward(y, 0.5);
  CHECK(largest_difference(x.gradient(), {2, -3}) == 0);
  tape.backward(y, 0.5);
  CHECK(largest_difference(x.gradient(), {4, -6}) == 0);
  tape.backward(z);
  CHECK(largest_difference(x.gradient(), {14, 4}) == 0);
}

TEST_CASE("backward from a leaf: its gradient grows by the seed") {
  Tape tape;
  const auto x = tape.variable<double>({{7}});
  tape.backward(x);
  CHECK(largest_difference(x.gradient(), {1}) == 0);
  tape.backward(x, 3);
  CHECK(largest_difference(x.gradient(), {4}) == 0);
}

TEST_CASE("a parameter's gradient is its own and persists across tapes") {
  Tensor<double> values = normal_tensor({1, 3}, 1), gradient({1, 3});
  Parameter<double> parameter({1, 3});
  parameter.value = values.view();
  parameter.gradient = gradient.view();
  for (int round = 1; round <= 2; ++round) {
    Tape tape;
    const auto w = tape.use(parameter);
    CHECK(w.value().data == values.view().data);
    tape.backward(sum(scale(add(w, tape.use(parameter)), 3)));
    CHECK(largest_difference(gradient.view(), {6.0 * round, 6.0 * round, 6.0 * round}) == 0);
  }
  parameter.gradient.data = nullptr;
  Tape tape;
  CHECK_FALSE(tape.use(parameter).needs_gradient());
}

TEST_CASE("a backward step runs only where a gradient has arrived") {
  Tape tape;
  int reached = 0, unreached = 0;
  const auto x = tape.variable<double>({{2, -3}});
  const auto dead_end = counted(x, &unreached);  // right after the leaf, whose gradient other steps will fill
  const auto y = sum(counted(x, &reached));
  tape.backward(y);
  CHECK(reached == 1);
  CHECK(unreached == 0);
  const auto infinite = tape.constant<double>({{std::numeric_limits<double>::infinity(), 1}});
  (void)multiply(dead_end, infinite);
  tape.backward(y);
  CHECK(unreached == 0);
  CHECK(largest_difference(x.gradient(), {2, 2}) == 0);
}

TEST_CASE("steps without an input that wants a gradient are not recorded") {
  Tape tape;
  const auto c = tape.constant<double>({{1, 2}});
  (void)multiply(c, c);
  CHECK(tape.step_count() == 0);
  (void)multiply(c, tape.variable<double>({{1, 2}}));
  CHECK(tape.step_count() == 1);
}

TEST_CASE("backward wants one element, and a dependency on something that wants a gradient") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  CHECK(id_of([&] { tape.backward(multiply(x, x)); }) == ErrorId::not_scalar);
  CHECK(id_of([&] { tape.backward(sum(tape.constant<double>({{1, 2}}))); }) == ErrorId::not_recorded);
  const NoGrad pause(tape);
  CHECK(id_of([&] { tape.backward(sum(x)); }) == ErrorId::not_recorded);
}

TEST_CASE("under NoGrad nothing is recorded; it nests") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  {
    const NoGrad outer(tape);
    {
      const NoGrad inner(tape);
      CHECK_FALSE(multiply(x, x).needs_gradient());
    }
    CHECK_FALSE(tape.recording());
    CHECK_FALSE(multiply(x, x).needs_gradient());
    CHECK_FALSE(tape.variable<double>({{1}}).needs_gradient());
  }
  CHECK(tape.step_count() == 0);
  CHECK(multiply(x, x).needs_gradient());
}

TEST_CASE("after backward a leaf has its gradient, an intermediate has not") {
  Tape tape;
  const auto x = tape.variable<double>({{3}});
  const auto y = multiply(x, x);
  tape.backward(multiply(y, y));
  CHECK(largest_difference(x.gradient(), {4 * 27}) == 0);
  CHECK(id_of([&] { (void)y.gradient(); }) == ErrorId::not_recorded);
}

TEST_CASE("float and double share a tape") {
  Tape tape;
  const auto x = tape.variable<float>({{1.5f, -2}});
  const auto w = tape.variable<double>({{4, 5}});
  const auto y = sum(multiply(widen(multiply(x, x)), w));
  CHECK(*y.value().data == 2.25 * 4 + 4 * 5);
  tape.backward(y);
  CHECK(largest_difference(x.gradient(), {2 * 1.5 * 4, 2 * -2 * 5}) == 0);
  CHECK(largest_difference(w.gradient(), {2.25, 4}) == 0);
}

TEST_CASE("a mark gives back what was made since, and regions nest") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  const auto y = multiply(x, x);
  const std::size_t steps = tape.step_count();
  {
    const Mark outer(tape);
    const auto z = multiply(y, y);
    {
      const Mark inner(tape);
      (void)multiply(z, z);
    }
    CHECK(tape.step_count() == steps + 1);
    CHECK(largest_difference(z.value(), {1, 16}) == 0);
  }
  CHECK(tape.step_count() == steps);
  tape.backward(sum(y));
  CHECK(largest_difference(x.gradient(), {2, 4}) == 0);
}

TEST_CASE("a result kept from a region survives it, at the region's start") {
  Tape tape;
  const auto x = tape.constant(read(normal_tensor({50, 100}, 1).view()));
  const auto kept = [&] {
    Mark region(tape);
    auto y = x;
    for (int i = 0; i < 20; ++i) y = add(y, x);
    return region.keep(y);
  }();
  CHECK(largest_difference(kept.value(), scale(x, 21).value()) < 1e-13);
  std::size_t bytes = 0;
  for (int round = 0; round < 5; ++round) {
    Mark region(tape);
    auto y = x;
    for (int i = 0; i < 20; ++i) y = add(y, x);
    if (round == 0) bytes = tape.value_bytes();
  }
  CHECK(tape.value_bytes() == bytes);
}

TEST_CASE("a tape that is used again needs no more memory") {
  Tape tape;
  const auto round = [&] {
    tape.reset();
    auto x = tape.variable(read(normal_tensor({100, 100}, 1).view()));
    const auto leaf = x;
    for (int i = 0; i < 10; ++i) x = multiply(x, x);
    tape.backward(sum(x));
    return host(leaf.gradient());
  };
  const auto first = round();
  const std::size_t bytes = tape.value_bytes();
  CHECK(same_bits(round().view(), first.view()));
  CHECK(tape.value_bytes() == bytes);
}

TEST_CASE("an observer hears when a parameter has all of its gradient") {
  const auto make = [] { return OwnedParameter<double>({{2.0, 3.0}}); };
  auto a = make(), b = make();
  struct Heard : TapeObserver {
    const OwnedParameter<double>&a, &b;
    std::size_t of_a = 1000, of_b = 1000;
    std::vector<double> when_a, when_b;  // the gradients when they are said to be complete
    Heard(const OwnedParameter<double>& first, const OwnedParameter<double>& second) : a(first), b(second) {}
    void used(const void* parameter, std::size_t step) override {
      auto& earliest = parameter == &a ? of_a : of_b;
      earliest = std::min(earliest, step);
    }
    void passed(std::size_t step) override {
      if (when_a.empty() && of_a >= step) when_a = {a.gradient.data[0], a.gradient.data[1]};
      if (when_b.empty() && of_b >= step) when_b = {b.gradient.data[0], b.gradient.data[1]};
    }
  } heard(a, b);
  Tape tape;
  tape.observe(&heard);
  const auto x = tape.constant<double>({{1.0, 1.0}});
  const auto first = recompute([&](Variable<double> y) { return multiply(multiply(y, tape.use(a)), tape.use(a)); }, x);
  const auto y = sum(multiply(multiply(first, tape.use(b)), tape.use(b)));
  tape.backward(y);
  CHECK(heard.when_b == std::vector{16.0, 54.0});  // 2 a^2 b
  CHECK(heard.when_a == std::vector{16.0, 54.0});
  CHECK(heard.of_a < heard.of_b);
  tape.observe(nullptr);
}

TEST_CASE("a million chained ops, forward and back, on a stack of 256 KiB") {
  double gradient = 0;
  on_small_stack([&] {
    Tape tape;
    const auto x = tape.variable<double>({{1}});
    auto y = x;
    for (int i = 0; i < 1'000'000; ++i) y = add(y, x);
    tape.backward(y);
    gradient = *x.gradient().data;
  });
  CHECK(gradient == 1'000'001);
}
