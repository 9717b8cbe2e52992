// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/autodiff/recompute.hpp>
#include <binllm/autodiff/stage.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/rotary.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/silu.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr Index rows = 6, width = 40;
constexpr std::size_t bytes = rows * width * sizeof(double);  // of one value

struct Inputs {
  Tape<> tape;
  Variable<double> x = tape.variable(read(normal_tensor({rows, width}, 1).view()));
  Variable<double> w = tape.variable(read(normal_tensor({width, width}, 2, 0.2).view()));
  Variable<double> row = tape.variable(read(normal_tensor({width}, 3).view()));
  [[nodiscard]] std::size_t values() const { return tape.held_bytes() / bytes; }
};

/// The gradients of x and w of what `module` makes of both.
template <class Module>
std::pair<Tensor<double>, Tensor<double>> gradients(const Module& module) {
  Inputs in;
  in.tape.backward(weighted(module(in)));
  return {host(in.x.gradient()), host(in.w.gradient())};
}

}  // namespace

TEST_CASE("stage: without recording all goes but what is named, stage by stage") {
  Inputs in;
  const NoGrad pause(in.tape);
  const auto outside = scale(in.x, 2);
  Stage stage(in.tape);
  const auto a = scale(outside, 2), b = scale(a, 2), c = scale(b, 2);
  stage.keep(a, c);
  CHECK(in.values() == 3);
  CHECK(id_of([&] { (void)b.value(); }) == ErrorId::stale_variable);
  const auto d = stage.keep(add(a, c));
  CHECK(in.values() == 2);
  CHECK(largest_difference(d.value(), scale(in.x, 20).value()) < 1e-14);
  CHECK(id_of([&] { (void)a.value(); }) == ErrorId::stale_variable);
  stage.keep();
  CHECK(in.values() == 1);  // what was made before is untouched
  CHECK(largest_difference(outside.value(), scale(in.x, 2).value()) == 0);
}

TEST_CASE("stage: a value made before may be given to it") {
  Inputs in;
  const NoGrad pause(in.tape);
  const auto h = scale(in.x, 2);
  Stage stage(in.tape, h);
  const auto y = stage.keep(scale(h, 2));
  CHECK(in.values() == 1);
  CHECK(largest_difference(y.value(), scale(in.x, 4).value()) == 0);
}

TEST_CASE("stage: while recording a value goes that no step reads, and stays where a step reads it") {
  Inputs in;
  Stage stage(in.tape);
  const auto unread = linear(in.x, in.w);  // add reads nothing
  const auto sum = add(in.x, unread);      // read by linear; cheap, but what it comes from is gone
  const auto y = stage.keep(linear(sum, in.w));
  CHECK(in.values() == 2);
  CHECK(y.value().data != nullptr);
}

TEST_CASE("stage: a cheap value is computed again from values that are there, or are computed again themselves") {
  const auto kept = [](Inputs& in) {
    const auto gate = linear(in.x, in.w);
    const auto product = swiglu(gate, gate), scaled = multiply(product, in.row);
    return linear(scaled, in.w);
  };
  const auto staged = [](Inputs& in) {
    Stage stage(in.tape);
    const auto gate = linear(in.x, in.w);
    const auto product = swiglu(gate, gate), scaled = multiply(product, in.row);
    const auto y = stage.keep(linear(scaled, in.w));
    CHECK(in.values() == 2);  // gate and y
    return y;
  };
  const auto [dx, dw] = gradients(kept);
  const auto [again_dx, again_dw] = gradients(staged);
  CHECK(same_bits(again_dx.view(), dx.view()));
  CHECK(same_bits(again_dw.view(), dw.view()));
}

TEST_CASE("stage: what a dropped value is computed from stays, whoever it belongs to") {
  Inputs in;
  Stage outer(in.tape);
  const auto projected = linear(in.x, in.w);  // no step reads it, but `scaled` comes from it
  const auto inner = [&] {
    Stage stage(in.tape);
    const auto scaled = scale(projected, 3);  // read by linear
    return stage.keep(linear(scaled, in.w));
  }();
  CHECK(in.values() == 2);
  const auto y = outer.keep(scale(inner, 2));
  CHECK(in.values() == 2);  // projected and y: nobody reads inner
  const std::size_t before = in.tape.peak_bytes();
  in.tape.backward(sum(y));
  CHECK(in.tape.peak_bytes() > before);
}

TEST_CASE("stage: long chains of cheap values keep one here and there") {
  Inputs in;
  Stage stage(in.tape);
  auto y = linear(in.x, in.w);
  for (int i = 0; i < 20; ++i) y = silu(y);  // every slope reads its input
  stage.keep(y);
  CHECK(in.values() == 1 + 20 / 5);  // the first, each fifth, the last of which is y
}

TEST_CASE("stage: leaves, saved values, small ones and other stages' values are untouched") {
  Inputs in;
  const auto before = scale(in.x, 2);
  Stage stage(in.tape);
  const auto leaf = in.tape.constant(read(normal_tensor({rows, width}, 5).view()));
  const auto saved = in.tape.make<double>({rows, width});
  saved.value().flat() = 7;
  const auto small = scale(in.tape.variable<double>({{1, 2}}), 2);
  stage.keep();
  CHECK(leaf.value().data != nullptr);
  CHECK((saved.value().flat() == 7).all());
  CHECK(largest_difference(small.value(), {2, 4}) == 0);
  CHECK(largest_difference(before.value(), scale(in.x, 2).value()) == 0);
}

TEST_CASE("stage: an op written by hand is taken to read its inputs and its value") {
  Inputs in;
  Stage stage(in.tape);
  const auto a = linear(in.x, in.w), b = linear(in.x, in.w);
  auto y = in.tape.compute<double>(a.shape(), [=](View<double> out) { out.flat() = a.value().flat(); });
  in.tape.on_backward(
      y, [=] { a.gradient().flat() += y.gradient().flat(); }, a);
  stage.keep();
  CHECK(in.values() == 2);  // a and y, not b
  CHECK(b.shape() == a.shape());
}

TEST_CASE("stage: inside a recomputed region, the same gradients and no more memory than forgetting by hand") {
  const auto layer = [](Variable<double> x, Variable<double> w, Variable<double> row, bool by_stage) {
    Stage stage(x.tape());
    const auto n = rms_norm(x, row), gate = linear(n, w), product = swiglu(gate, gate);
    const auto y = linear(product, w, x);
    if (by_stage) return stage.keep(y);
    forget(n, product);
    forget_unless_recording(gate);
    return y;
  };
  const auto run = [&](bool by_stage) {
    Inputs in;
    auto h = scale(in.x, 1);
    for (int i = 0; i < 3; ++i)
      h = recompute([&layer, by_stage, w = in.w, row = in.row](auto x) { return layer(x, w, row, by_stage); }, h);
    in.tape.backward(weighted(h));
    return std::pair(host(in.w.gradient()), in.tape.peak_bytes());
  };
  const auto [dw, peak] = run(true);
  const auto [by_hand_dw, by_hand_peak] = run(false);
  CHECK(same_bits(dw.view(), by_hand_dw.view()));
  CHECK(peak == by_hand_peak);
}
