// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/autodiff/recompute.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/matmul.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>

#include <limits>
#include <type_traits>

using namespace binllm;
using namespace binllm::test;

static_assert(std::is_trivially_copyable_v<Variable<float>> && std::is_trivially_destructible_v<Variable<float>>);

TEST_CASE("variables of the last round are stale") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  tape.reset();
  CHECK(id_of([&] { (void)x.value(); }) == ErrorId::stale_variable);
  CHECK(id_of([&] { (void)x.gradient(); }) == ErrorId::stale_variable);
  CHECK(id_of([&] { (void)x.needs_gradient(); }) == ErrorId::stale_variable);
  CHECK(id_of([&] { (void)x.reshaped({2}); }) == ErrorId::stale_variable);
  CHECK(id_of([&] { (void)multiply(x, x); }) == ErrorId::stale_variable);
  CHECK(id_of([&] { tape.backward(x); }) == ErrorId::stale_variable);
  const auto y = tape.variable<double>({{3, 4}});  // takes the place of x on the tape
  CHECK(id_of([&] { (void)x.value(); }) == ErrorId::stale_variable);
  CHECK(*y.value().data == 3);
}

TEST_CASE("variables from inside a mark are stale after it, those before are not") {
  Tape tape;
  const auto before = tape.variable<double>({{1, 2}});
  auto inside = before;
  {
    const Mark region(tape);
    inside = multiply(before, before);
    CHECK(*inside.value().data == 1);
  }
  CHECK(id_of([&] { (void)inside.value(); }) == ErrorId::stale_variable);
  const auto after = multiply(before, before);
  CHECK(id_of([&] { (void)inside.value(); }) == ErrorId::stale_variable);
  CHECK(*after.value().data == 1);
}

TEST_CASE("another shape, the same value and gradient") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}, {3, 4}});
  const auto flat = x.reshaped({4});
  CHECK(flat.shape() == Shape{4});
  CHECK(flat.value().data == x.value().data);
  tape.backward(sum(multiply(flat, flat)));
  CHECK(largest_difference(x.gradient(), {2, 4, 6, 8}) == 0);
  CHECK(flat.gradient().data == x.gradient().data);
  CHECK(flat.gradient().shape == Shape{4});
  CHECK(id_of([&] { (void)x.reshaped({3}); }) == ErrorId::shape_mismatch);
}

TEST_CASE("variables of two tapes do not mix") {
  Tape one, two;
  const auto x = one.variable<double>({{1, 2}});
  const auto y = two.variable<double>({{1, 2}});
  CHECK(id_of([&] { (void)multiply(x, y); }) == ErrorId::foreign_tape);
  CHECK(id_of([&] { check_same_tape("op", x, x, y); }) == ErrorId::foreign_tape);
  check_same_tape("op", x, x, x);
  check_same_tape("op", x);
}

TEST_CASE("a gradient is fresh until somebody has taken it") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  const auto y = tape.compute<double>({1, 2}, [](View<double> out) { out.flat() = 3; });
  CHECK(!y.incoming());  // nothing recorded wants it
  const auto first = x.incoming();
  CHECK(first.fresh);
  CHECK(first.write() == Write::assign);
  first.view.flat() = 7;
  CHECK(!x.incoming().fresh);
  CHECK(x.incoming().write() == Write::accumulate);
  CHECK(largest_difference(x.gradient(), {7, 7}) == 0);
  tape.reset();
  const auto z = tape.variable<double>({{1, 2}});
  CHECK(largest_difference(z.gradient(), {0, 0}) == 0);
  CHECK(!z.incoming().fresh);
}

TEST_CASE("a gradient that is passed on changes hands, or is added") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  // y = h, twice: the first to run backward hands its block over, the second adds to it.
  const auto same = [](Variable<double> h) {
    auto y = h.tape().compute<double>(h.shape(), [h](View<double> out) { out.flat() = h.value().flat(); });
    h.tape().on_backward(
        y, [y, h] { y.pass_gradient(h); }, h);
    return y;
  };
  const auto h = multiply(x, x);
  tape.backward(sum(multiply(same(h), same(h))));  // sum h^2 = sum x^4
  CHECK(largest_difference(x.gradient(), {4, 32}) == 0);
}

TEST_CASE("a parameter's gradient that is expected anew is written by who comes first") {
  constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
  const OwnedParameter<double> w({{1, 2}, {3, 4}}), unused({{5, 6}});
  FreshGradients<Cpu> fresh;
  fresh.add(w.gradient);
  fresh.add(unused.gradient);
  fresh.add(w.gradient);
  fresh.add(View<double>());
  Tape tape;
  tape.expect(&fresh);
  const auto expect = [&] {
    w.gradient.flat() = nothing;
    unused.gradient.flat() = nothing;
    fresh.expect();
  };
  const auto x = [&] { return tape.constant<double>({{1, 1}}); };
  const auto round = [&](const auto& body) {
    tape.reset();
    tape.backward(sum(body()));
  };
  SUBCASE("the first product assigns, the next one adds, in the next round too; what nobody wrote is cleared") {
    for (int step = 0; step < 2; ++step) {
      expect();
      for (int part = 0; part < 2; ++part) round([&] { return linear(x(), tape.use(w)); });
      fresh.settle();
      CHECK(largest_difference(w.gradient, {2, 2, 2, 2}) == 0);
      CHECK(largest_difference(unused.gradient, {0, 0}) == 0);
    }
  }
  SUBCASE("two uses in one step of backward") {
    expect();
    round([&] { return matmul(tape.use(w), tape.use(w)); });
    CHECK(largest_difference(w.gradient, {7, 11, 9, 13}) == 0);
  }
  SUBCASE("an op that can only add") {
    expect();
    round([&] { return multiply(tape.use(w), tape.use(w)); });
    CHECK(largest_difference(w.gradient, {2, 4, 6, 8}) == 0);
  }
  SUBCASE("inside and outside of a recomputed region") {
    expect();
    round([&] {
      return linear(recompute([&](Variable<double> y) { return linear(y, tape.use(w)); }, x()), tape.use(w));
    });
    CHECK(largest_difference(w.gradient, {7, 11, 9, 13}) == 0);  // 1 (3, 7) + (4, 6)^T 1
  }
  SUBCASE("a parameter that is a part of it") {
    expect();
    Parameter<double> row({1, 2});
    row.value = w.value.middle_rows(1, 1);
    row.gradient = w.gradient.middle_rows(1, 1);
    round([&] { return linear(x(), tape.use(row)); });
    CHECK(largest_difference(w.gradient, {0, 0, 1, 1}) == 0);
  }
  SUBCASE("a parameter of which it is a part") {
    Parameter<double> first({1, 2}), second({1, 2});
    first.gradient = w.gradient.middle_rows(0, 1), second.gradient = w.gradient.middle_rows(1, 1);
    FreshGradients<Cpu> rows;
    rows.add(first.gradient), rows.add(second.gradient);
    w.gradient.flat() = nothing;
    rows.expect();
    tape.expect(&rows);
    round([&] { return linear(x(), tape.use(w)); });
    CHECK(largest_difference(w.gradient, {1, 1, 1, 1}) == 0);
  }
  SUBCASE("one range is cleared alone") {
    expect();
    fresh.settle(w.gradient);
    CHECK(largest_difference(w.gradient, {0, 0, 0, 0}) == 0);
    CHECK(unused.gradient.data[0] != unused.gradient.data[0]);
  }
}
