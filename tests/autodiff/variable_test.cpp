// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/autodiff/variable.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>

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
