// SPDX-License-Identifier: MIT
// What automatic differentiation costs where the arithmetic is next to nothing, on one thread: a 64-64-1 perceptron
// with all its gradients, a chain of dependent ops on one number, and one more op on a tape.
#include <binllm/core/random.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/scale.hpp>

#include "support/arguments.hpp"
#include "support/measure.hpp"

namespace bl = binllm;
using bl::Index;

namespace {

/// y = tanh(x W1^T + b1) w2^T + b2,   loss = y^2; 4225 parameters.
class Perceptron {
 public:
  static constexpr Index width = 64;

  Perceptron() {
    const bl::Random random(1, bl::Purpose::test);
    for (Index i = 0; i < values_.size(); ++i)
      values_.view().data[i] = 0.1f * static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
    for (Index i = 0; i < width; ++i) input_.view().data[i] = static_cast<float>(i % 7) / 7;
    Index next = 0;
    for (bl::Parameter<float>* parameter : {&w1_, &b1_, &w2_, &b2_}) {
      parameter->value.data = values_.view().data + next;
      parameter->gradient.data = gradients_.view().data + next;
      next += parameter->size();
    }
  }
  /// The loss, and all gradients.
  float operator()() {
    using B = bl::Backend<bl::Cpu>;
    B::zero(gradients_.view().data, static_cast<std::size_t>(gradients_.size()) * sizeof(float));
    tape_.reset();
    const auto x = tape_.borrow(input_.view());
    const auto h = bl::tanh(bl::add(bl::linear(x, tape_.use(w1_)), tape_.use(b1_)));
    const auto y = bl::add(bl::linear(h, tape_.use(w2_)), tape_.use(b2_));
    const auto loss = bl::multiply(y, y);
    tape_.backward(loss);
    return *loss.value().data;
  }

 private:
  bl::Tensor<float> input_{bl::Shape{1, width}}, values_{bl::Shape{width * width + 2 * width + 1}},
      gradients_{values_.shape()};
  bl::Parameter<float> w1_{{width, width}}, b1_{{width}}, w2_{{1, width}}, b2_{{1}};
  bl::Tape<> tape_;
};

/// Seconds of a chain of `length` ops y = f(y), forward and backward.
template <class F>
double chain_seconds(Index length, const F& f) {
  bl::Tape<> tape;
  const bl::Tensor<float> start(bl::Shape{1});
  return bl::bench::median_seconds(
      [&] {
        tape.reset();
        auto y = tape.variable(start.view());
        for (Index i = 0; i < length; ++i) y = f(y);
        tape.backward(y);
      },
      31, 10);
}

}  // namespace

int main(int count, char** words) {
  bl::bench::Arguments arguments(count, words, "bench_tiny [--json]");
  const bool json = arguments.flag("--json");
  arguments.end();

  Perceptron perceptron;
  const double microseconds = 1e6 * bl::bench::median_seconds([&] { perceptron(); }, 101, 200);
  constexpr Index length = 1000;
  // One product and one sum a link, both operands recorded; and the cheapest op there is, whose time is the tape's.
  const double chain =
      1e9 * chain_seconds(length, [](auto y) { return bl::add(bl::multiply(y, y), y); }) / (2 * length);
  const double overhead = 1e9 * chain_seconds(length, [](auto y) { return bl::scale(y, 0.999f); }) / length;
  const char* format = json ? "{{\"perceptron_us\": {:.2f}, \"chain_ns_per_op\": {:.1f}, \"tape_ns_per_op\": {:.1f}}}\n"
                            : "64-64-1 perceptron, all gradients: {:.2f} us; chain of scalar ops: {:.1f} ns an op; "
                              "tape: {:.1f} ns an op\n";
  fmt::print(fmt::runtime(format), microseconds, chain, overhead);
}
