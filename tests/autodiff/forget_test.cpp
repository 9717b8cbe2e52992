// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/autodiff/recompute.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/attention.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/silu.hpp>
#include <binllm/ops/softmax.hpp>

#include <algorithm>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr Index rows = 6, width = 40;
constexpr std::size_t bytes = rows * width * sizeof(double);  // of one value

/// y = 2 x, counting how often it is computed.
Variable<double> doubled(Variable<double> x, int* runs) {
  auto y = x.tape().compute<double>(x.shape(), [=](View<double> out) {
    ++*runs;
    out.flat() = 2 * x.value().flat();
  });
  x.tape().on_backward(
      y, [=] { x.gradient().flat() += 2 * y.gradient().flat(); }, x);
  return y;
}

/// The gradients of x and w where `chain` makes a number of both.
template <class Chain>
std::pair<Tensor<double>, Tensor<double>> gradients(const Chain& chain) {
  Tape tape;
  const auto x = tape.variable(read(normal_tensor({rows, width}, 1).view()));
  const auto w = tape.variable(read(normal_tensor({width, width}, 2, 0.2).view()));
  tape.backward(weighted(chain(x, w)));
  return {host(x.gradient()), host(w.gradient())};
}

const auto keep = [](auto...) {};
const auto drop = [](auto... values) { forget(values...); };

/// Backward reads every value in it. `done` is told when a value has served in forward.
template <class Done>
auto chain(const Done& done) {
  return [done](auto x, auto w) {
    const auto a = tanh(x);
    const auto b = linear(a, w);
    const auto c = multiply(b, b);
    done(b, a);
    const auto d = softmax(c);
    const auto e = multiply(d, c);
    done(c, d);
    return e;
  };
}

}  // namespace

TEST_CASE("forgotten values give the gradients of kept ones, through each other") {
  const auto [dx, dw] = gradients(chain(keep));
  const auto [again_dx, again_dw] = gradients(chain(drop));
  CHECK(same_bits(again_dx.view(), dx.view()));
  CHECK(same_bits(again_dw.view(), dw.view()));
}

TEST_CASE("every op computes its value again") {
  Tape tape;
  const auto x = tape.variable(read(normal_tensor({2, 3, 12}, 1).view()));
  const auto row = tape.constant(read(normal_tensor({12}, 2).view()));
  const auto w = tape.constant(read(normal_tensor({12, 12}, 3).view()));
  const std::array values{add(x, x),
                          multiply(x, row),
                          scale(x, 3),
                          tanh(x),
                          silu(x),
                          swiglu(x, x),
                          softmax(x),
                          linear(x, w),
                          rms_norm(x, row),
                          add(x, row),
                          attention(x, x, x, 2, 1 + 1)};
  for (const auto& y : values) {
    const auto before = host(y.value());
    forget(y);
    const auto other = tape.compute<double>(y.shape(), [](View<double> out) { out.flat() = -1; });
    CHECK(other.value().data != nullptr);  // and holds what was y's block, until
    forget(other);
    CHECK(same_bits(y.value(), before.view()));
  }
}

TEST_CASE(
    "the memory of a forgotten value serves others at once, and a value computed again goes back after its step") {
  Tape tape;
  int runs = 0;
  const auto x = tape.variable(read(normal_tensor({rows, width}, 1).view()));
  const auto y = doubled(x, &runs);
  const auto z = multiply(y, y);
  CHECK(tape.held_bytes() == 2 * bytes);
  const double* block = y.value().data;
  forget(y);
  forget(y);
  CHECK(tape.held_bytes() == bytes);
  const auto other = tanh(x);
  CHECK(other.value().data == block);
  CHECK(runs == 1);
  tape.backward(sum(z));
  CHECK(runs == 2);
  const std::size_t sum_and_its_leaf = tape.held_bytes() - 3 * bytes;  // z, other, the leaf's gradient
  CHECK(sum_and_its_leaf == sizeof(double));
  CHECK(largest_difference(x.gradient(), scale(x, 8).value()) == 0);
  CHECK(largest_difference(y.value(), scale(x, 2).value()) == 0);  // and again for who still asks
  CHECK(runs == 3);
}

TEST_CASE("what nothing reads is not computed again") {
  Tape tape;
  int runs = 0;
  const auto x = tape.variable(read(normal_tensor({rows, width}, 1).view()));
  const auto y = doubled(x, &runs);
  const auto z = scale(y, 3);
  forget(y);
  tape.backward(sum(z));
  CHECK(runs == 1);
}

TEST_CASE("without recording a forgotten value is gone, and its memory free") {
  Tape tape;
  const auto x = tape.variable(read(normal_tensor({rows, width}, 1).view()));
  const NoGrad pause(tape);
  auto y = scale(x, 2);
  for (int i = 0; i < 10; ++i) {
    const auto next = scale(y, 2);
    forget(y);
    y = next;
  }
  CHECK(tape.held_bytes() == bytes);
  CHECK(tape.peak_bytes() == 2 * bytes);
  const auto gone = scale(y, 2);
  forget_unless_recording(gone);
  CHECK(id_of([&] { (void)gone.value(); }) == ErrorId::stale_variable);
  CHECK(id_of([&] { (void)scale(gone, 2); }) == ErrorId::stale_variable);
  try {
    (void)gone.value();
  } catch (const Error& error) {
    CHECK(error.found() == "one that was forgotten while nothing was recorded");
  }
}

TEST_CASE("forget_unless_recording leaves what backward reads") {
  Tape tape;
  const auto y = scale(tape.variable(read(normal_tensor({rows, width}, 1).view())), 2);
  forget_unless_recording(y);
  CHECK(tape.held_bytes() == bytes);
}

TEST_CASE("leaves, parameters, borrowed and saved memory cannot be forgotten") {
  Tape tape;
  Tensor<double> memory = normal_tensor({rows, width}, 1), gradient({rows, width});
  Parameter<double> parameter({rows, width});
  parameter.value = memory.view();
  parameter.gradient = gradient.view();
  const auto leaf = tape.variable(read(memory.view())), constant = tape.constant(read(memory.view()));
  const auto borrowed = tape.borrow(memory.view()), used = tape.use(parameter),
             saved = tape.make<double>({rows, width});
  saved.value().flat() = memory.view().flat();
  forget(leaf, constant, borrowed, used, saved);
  const NoGrad pause(tape);
  forget(leaf, constant, borrowed, used, saved);
  for (const auto& x : {leaf, constant, borrowed, used, saved}) CHECK(same_bits(x.value(), memory.view()));
}

TEST_CASE("a value recorded before a NoGrad, and used under it, can be forgotten there and still be computed again") {
  Tape tape;
  int runs = 0;
  const auto x = tape.variable(read(normal_tensor({rows, width}, 1).view()));
  const auto small = scale(tape.variable<double>({{1, 2}}), 2), y = doubled(x, &runs);
  const auto z = add(sum(multiply(y, y)), sum(multiply(small, small)));
  {
    const NoGrad pause(tape);
    forget(y, small);
  }
  tape.backward(z);
  CHECK(runs == 2);
  CHECK(largest_difference(x.gradient(), scale(x, 8).value()) == 0);
}

TEST_CASE("reshaped copies and aliases follow the value") {
  Tape tape;
  int runs = 0;
  const auto x = tape.variable(read(normal_tensor({rows, width}, 1).view()));
  const auto y = doubled(x, &runs), flat = y.reshaped({rows * width});
  const auto alias = tape.alias(y), second = tape.alias(alias);
  CHECK(flat.is(y));
  CHECK_FALSE(alias.is(y));
  forget(alias);                          // says nothing about y
  CHECK(tape.held_bytes() == 2 * bytes);  // and the gradient that both share
  const auto before = host(y.value());
  forget(flat);
  CHECK(tape.held_bytes() == bytes);
  CHECK(same_bits(second.value(), before.view()));
  CHECK(runs == 2);
  CHECK(alias.value().data == y.value().data);
  CHECK(flat.value().data == y.value().data);
}

TEST_CASE("regions: a forgotten input is computed again for them, a forgotten result inside as well") {
  const auto plain = [](auto x, auto w) {
    const auto y = tanh(linear(x, w));
    return multiply(y, multiply(y, y));
  };
  const auto lean = [](auto x, auto w) {
    const auto h = linear(x, w);
    const auto region = [](auto z) {
      const auto y = tanh(z), square = multiply(y, y), cube = multiply(y, square);
      forget(z, y, square);
      return cube;
    };
    const auto y = recompute(region, h);
    forget(h, y);  // y stays: only its region could compute it again
    CHECK(y.tape().held_bytes() == bytes);
    return y;
  };
  const auto [dx, dw] = gradients(plain);
  const auto [again_dx, again_dw] = gradients(lean);
  CHECK(same_bits(again_dx.view(), dx.view()));
  CHECK(same_bits(again_dw.view(), dw.view()));
}

TEST_CASE("a mark keeps by handing over, and copies only what it does not own") {
  Tape tape;
  const auto x = tape.constant(read(normal_tensor({rows, width}, 1).view()));
  const auto outside = scale(x, 2);
  const double* block = nullptr;
  const auto inside = [&] {
    Mark region(tape);
    const auto y = scale(outside, 2);
    (void)scale(y, 2);
    block = y.value().data;
    return region.keep(y);
  }();
  CHECK(inside.value().data == block);
  CHECK(tape.held_bytes() == 2 * bytes);
  const auto copy = [&] {
    Mark region(tape);
    return region.keep(outside);
  }();
  CHECK(copy.value().data != outside.value().data);
  CHECK(same_bits(copy.value(), outside.value()));
  const auto again = [&] {
    Mark region(tape);
    const auto y = scale(outside, 2);
    forget(y);
    return region.keep(y);
  }();
  CHECK(same_bits(again.value(), inside.value()));
}

TEST_CASE("a deferred value is computed when it is asked for, once") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2, 3}});
  int runs = 0;
  const auto make = [&] {
    return tape.deferred<double>({1}, [x, count = &runs](View<double> out) {
      ++*count;
      *out.data = x.value().flat().sum();
    });
  };
  const auto y = make();
  CHECK(runs == 0);
  CHECK(tape.held_bytes() == 0);
  CHECK(*y.value().data == 6);
  CHECK(*y.value().data == 6);
  CHECK(runs == 1);
  const auto written = make();
  *written.room().data = 7;
  CHECK(*written.value().data == 7);
  CHECK(runs == 1);
  const NoGrad pause(tape);
  const auto at_once = make();
  CHECK(runs == 2);
  CHECK(*at_once.value().data == 6);
}

TEST_CASE("a backward step may write a deferred value; backward itself does not ask for it") {
  Tape tape;
  const auto x = tape.variable<double>({{2}});
  auto y = tape.deferred<double>({1}, [](View<double>) { FAIL("computed"); });
  tape.on_backward(
      y, [=] { x.gradient().flat() += 3 * y.gradient().flat(), *y.room().data = 3 * *x.value().data; }, x);
  tape.backward(y);
  CHECK(*y.value().data == 6);
  CHECK(*x.gradient().data == 3);
}

TEST_CASE("a round that forgets and computes again needs no more memory the next time") {
  Tape tape;
  std::size_t size = 0, peak = 0;
  for (int round = 0; round < 3; ++round) {
    tape.reset();
    CHECK(tape.held_bytes() == 0);
    const auto x = tape.variable(read(normal_tensor({rows, width}, 1).view()));
    const auto w = tape.variable(read(normal_tensor({width, width}, 2).view()));
    tape.backward(sum(chain(drop)(x, w)));
    if (round == 0) size = tape.value_bytes(), peak = tape.peak_bytes();
  }
  CHECK(tape.value_bytes() == size);
  CHECK(tape.peak_bytes() == peak);
}
