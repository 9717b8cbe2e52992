// SPDX-License-Identifier: MIT
/// One linear layer of a kind against the numbers of tests/golden/methods/layer_with_sides.py: start, forward, backward,
/// and ten steps of AdamW, in double.
#pragma once
#include "support/golden_values.hpp"
#include "support/tensors.hpp"

#include <binllm/nn/parameter_block.hpp>
#include <binllm/nn/quantised.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/subtract.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/optim/adamw.hpp>

#include <algorithm>
#include <cmath>

namespace binllm::test {

/// A layer as a model of its own.
template <LinearKind K>
struct OneLayer {
  using Master = double;
  using device = Cpu;
  typename Quantised<K>::template Linear<double, Cpu> linear;
  ParameterBlock<double, Cpu> block;

  explicit OneLayer(const LinearShape& shape, const K& kind = {}) : linear(Quantised<K>{kind}, shape) {
    block.allocate(*this, true);
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("", self.linear...);
  }
};

/// max |found - wanted| / max |wanted|, where that is not next to nothing.
inline double relative_error(View<const double> found, const std::vector<double>& wanted) {
  double largest = 1e-6;
  for (const double x : wanted) largest = std::max(largest, std::abs(x));
  return largest_difference(found.data, found.size(), wanted.data(), static_cast<Index>(wanted.size())) / largest;
}

/// Checks the kind against tests/golden/methods/NAME.txt. Parameters whose start is drawn at random take the golden one.
template <LinearKind K>
void check_golden_layer(const std::string& name, Role role = Role::attention_in, std::string_view random = "") {
  const Index tokens = 4, out = 5, in = 20;
  const auto golden = golden_lines("methods/" + name + ".txt");
  const auto hashed = [](const char* what, Shape shape, double factor) {
    const auto values = golden_values(what, shape);
    Tensor<double> tensor(shape);
    for (Index i = 0; i < shape.size(); ++i) tensor.view().data[i] = factor * values[static_cast<std::size_t>(i)];
    return tensor;
  };
  const auto dense = hashed("dense", {out, in}, golden.at("dense")[0]), x = hashed("x", {tokens, in}, 2),
             wanted = hashed("wanted", {tokens, out}, 1);

  OneLayer<K> model({out, in, role});
  model.linear.start(read(dense.view()));
  for_each_parameter(model, [&](const std::string& parameter, auto& leaf) {
    CAPTURE(parameter);
    const auto& start = golden.at("start." + parameter);
    if (parameter == random) std::copy(start.begin(), start.end(), leaf.value.data);
    CHECK(relative_error(read(leaf.value), start) < 1e-9);
  });

  std::vector<const Parameter<double, Cpu>*> parameters;
  for (const auto& named : named_parameters(model)) parameters.push_back(named.parameter);
  AdamW<double> adamw(parameters);
  Tape<> tape;
  StepScalars<Cpu> scalars;
  for (std::size_t step = 0; step < golden.at("t").size(); ++step) {
    CAPTURE(step);
    scalars.set(StepScalars<Cpu>::sharpness, golden.at("t")[step]);
    tape.reset();
    Pass<double, Cpu> pass{tape, scalars};
    const auto input = tape.variable(read(x.view()));
    const auto y = model.linear(pass, NoInput<double, Cpu>{}, input);
    if (step == 0) CHECK(relative_error(read(y.value()), golden.at("y")) < 1e-6);
    const auto error = subtract(y, tape.constant(read(wanted.view())));
    const auto loss = scale(sum(multiply(error, error)), 0.5);
    tape.backward(loss);
    CHECK(*loss.value().data == doctest::Approx(golden.at("losses")[step]).epsilon(1e-6));
    if (step == 0) {
      CHECK(relative_error(read(input.gradient()), golden.at("dx")) < 1e-6);
      for_each_parameter(model, [&](const std::string& parameter, auto& leaf) {
        CAPTURE(parameter);
        CHECK(relative_error(read(leaf.gradient), golden.at("gradient." + parameter)) < 1e-6);
      });
    }
    adamw.step(0.02);
  }
  for_each_parameter(model, [&](const std::string& parameter, auto& leaf) {
    CAPTURE(parameter);
    CHECK(relative_error(read(leaf.value), golden.at("trained." + parameter)) < 1e-6);
  });
}

}  // namespace binllm::test
