// SPDX-License-Identifier: MIT
/// One linear layer that does more than multiply, against the numbers of tests/golden/methods/layer_with_sides.py:
/// start, forward, backward and ten steps, in double; and its stored form.
#pragma once
#include "methods/trained_layer.hpp"

#include <binllm/nn/stored.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/packed/kernels.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace binllm::test {

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
  const auto dense = hashed_tensor("dense", {out, in}, golden.at("dense")[0]), x = hashed_tensor("x", {tokens, in}, 2),
             wanted = hashed_tensor("wanted", {tokens, out}, 1);
  LoneLayer<K> lone({out, in, role});
  lone.layer.start(read(dense.view()));
  std::vector<const Parameter<double>*> parameters;
  lone.each_parameter([&](const std::string& parameter, Parameter<double>& leaf) {
    if (leaf.size() == 0) return;
    CAPTURE(parameter);
    const auto& start = golden.at("start." + parameter);
    if (parameter == random) std::copy(start.begin(), start.end(), leaf.value.data);
    CHECK(relative_error(read(leaf.value), start) < 1e-9);
    parameters.push_back(&leaf);
  });
  AdamW<double> adamw(parameters);
  Tape<> tape;
  StepScalars<Cpu> scalars;
  for (std::size_t step = 0; step < golden.at("t").size(); ++step) {
    CAPTURE(step);
    scalars.set(StepScalars<Cpu>::sharpness, golden.at("t")[step]);
    tape.reset();
    Pass<double, Cpu> pass{tape, scalars};
    const auto input = tape.variable(read(x.view()));
    const auto y = lone.layer(pass, NoInput<double, Cpu>{}, input);
    if (step == 0) CHECK(relative_error(read(y.value()), golden.at("y")) < 1e-6);
    const auto error = subtract(y, tape.constant(read(wanted.view())));
    const auto loss = scale(sum(multiply(error, error)), 0.5);
    tape.backward(loss);
    CHECK(*loss.value().data == doctest::Approx(golden.at("losses")[step]).epsilon(1e-6));
    if (step == 0) {
      CHECK(relative_error(read(input.gradient()), golden.at("dx")) < 1e-6);
      lone.each_parameter([&](const std::string& parameter, Parameter<double>& leaf) {
        if (leaf.size() == 0) return;
        CAPTURE(parameter);
        CHECK(relative_error(read(leaf.gradient), golden.at("gradient." + parameter)) < 1e-6);
      });
    }
    adamw.step(0.02);
  }
  lone.each_parameter([&](const std::string& parameter, Parameter<double>& leaf) {
    if (leaf.size() == 0) return;
    CAPTURE(parameter);
    CHECK(relative_error(read(leaf.value), golden.at("trained." + parameter)) < 1e-6);
  });
}

/// What a layer stores computes what the layer does at the end of its training; and, where the kind can go back, so does
/// the layer that is restored from it.
template <LinearKind K>
void check_stored_layer(Role role = Role::attention_in) {
  const Index tokens = 4, out = 5, in = 20;
  const auto dense = hashed_tensor("dense", {out, in}, 1), x = hashed_tensor("x", {tokens, in}, 2);
  const auto result_of = [&](const auto& layer) {
    Tape<> tape;
    const NoGrad<Cpu> pause(tape);
    StepScalars<Cpu> scalars;
    scalars.set(StepScalars<Cpu>::sharpness, std::numeric_limits<double>::infinity());
    Pass<double, Cpu> pass{tape, scalars};
    return host(layer(pass, NoInput<double, Cpu>{}, tape.constant(read(x.view()))).value());
  };
  LoneLayer<K> lone({out, in, role});
  lone.layer.start(read(dense.view()));
  std::uint64_t seed = 0;
  lone.each_parameter([&](const std::string&, Parameter<double>& leaf) {
    const auto noise = normal_tensor(leaf.shape(), ++seed, 0.1);
    leaf.value.flat() += noise.view().flat();
  });
  const auto trained = result_of(lone.layer);

  using Form = typename K::Form;
  typename Stored<Form>::template Linear<double, Cpu> stored(Stored<Form>{}, {out, in, role});
  typename Form::template Matrix<double, Cpu>& matrix = stored;
  K::store(static_cast<const typename K::template Parameters<double, Cpu>&>(lone.layer), matrix);
  CHECK(largest_difference(result_of(stored).view(), trained.view()) < 1e-9);
  if constexpr (requires { lone.layer.restore(matrix); }) {
    LoneLayer<K> again({out, in, role});
    again.layer.restore(matrix);
    CHECK(largest_difference(result_of(again.layer).view(), trained.view()) < 1e-9);
  }
}

}  // namespace binllm::test
