// SPDX-License-Identifier: MIT
/// One linear layer that a method's kind trains for ten steps, against the numbers that an independent script computed:
/// tests/golden/methods/trained_layer.py says what is trained on what.
#pragma once
#include "support/golden_values.hpp"
#include "support/tensors.hpp"

#include <binllm/methods/method.hpp>
#include <binllm/nn/effective_weight.hpp>
#include <binllm/nn/training_progress.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/subtract.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/optim/adamw.hpp>

#include <list>
#include <string>
#include <vector>

namespace binllm::test {

/// Numbers by their name, in the golden files' range.
inline Tensor<double> hashed_tensor(const std::string& name, const Shape& shape, double scale) {
  Tensor<double> tensor(shape);
  const auto values = golden_values(name, Shape{shape.rows(), shape.cols()});
  for (Index i = 0; i < tensor.size(); ++i)
    tensor.view().data[i] = scale * static_cast<double>(values[static_cast<std::size_t>(i)]);
  return tensor;
}

/// A linear layer of a kind outside a model: its parameters have memory of their own.
template <LinearKind K>
struct LoneLayer {
  using Layer = typename Quantised<K>::template Linear<double, Cpu>;
  Layer layer;
  std::list<Tensor<double>> memory;

  LoneLayer(Index out, Index in) : LoneLayer(LinearShape{.out = out, .in = in}) {}
  explicit LoneLayer(const LinearShape& shape) : layer(Quantised<K>{}, shape) {
    each_parameter([&](const std::string&, Parameter<double>& p) {
      p.value.data = memory.emplace_back(p.shape()).view().data;
      p.gradient.data = memory.emplace_back(p.shape()).view().data;
    });
  }
  template <class F>
  void each_parameter(const F& f) {
    for_each_leaf(
        "",
        [&](const std::string& name, auto& leaf) {
          if constexpr (detail::is_parameter<std::remove_cvref_t<decltype(leaf)>>) {
            if (leaf.size() > 0) f(name, leaf);
          }
        },
        layer);
  }
};

/// The method's layer of (out, in) does what tests/golden/methods/FILE.txt says.
template <Method M>
void check_trained_layer(const std::string& file, Index out, Index in) {
  using K = typename M::template kind<double>;
  constexpr Index steps = 10, tokens = 6;
  const auto golden = golden_lines("methods/" + file + ".txt");
  const auto agrees = [&](const std::string& key, View<const double> found) {
    INFO(key);
    REQUIRE(golden.contains(key));
    const auto& wanted = golden.at(key);
    REQUIRE(static_cast<Index>(wanted.size()) == found.size());
    double largest = 0;
    for (const double x : wanted) largest = std::max(largest, std::abs(x));
    CHECK(largest_difference(found.data, found.size(), wanted.data(), found.size()) < 1e-9 * std::max(largest, 1e-3));
  };
  const Tensor<double> w = hashed_tensor("weight", {out, in}, 3), x = hashed_tensor("inputs", {tokens, in}, 2),
                       y = hashed_tensor("targets", {tokens, out}, 1);
  const K kind;
  LoneLayer<K> lone(out, in);
  lone.layer.start(read(w.view()));
  std::vector<const Parameter<double>*> parameters;
  lone.each_parameter([&](const std::string& name, Parameter<double>& p) {
    agrees("start." + name, read(p.value));
    parameters.push_back(&p);
  });
  AdamW<double> adamw(parameters, {.weight_decay = M::published.optimiser.weight_decay});
  StepScalars<Cpu> scalars;
  Tape<> tape;
  Tensor<double> losses(Shape{steps});
  for (Index step = 0; step < steps; ++step) {
    const double t =
        sharpness_at(Quantised<K>{kind}, {.step = step, .steps = steps, .chunk = step + 1, .chunks = steps});
    scalars.set(StepScalars<Cpu>::sharpness, t);
    tape.reset();
    Pass<double, Cpu> pass{tape, scalars};
    if (step == 0) agrees("wb", read(effective_weight<double>(lone.layer, t).view()));
    lone.each_parameter([](const std::string&, Parameter<double>& p) { p.gradient.flat().setZero(); });
    const auto error =
        subtract(lone.layer(pass, NoInput<double, Cpu>(), tape.constant(x.view())), tape.constant(y.view()));
    const auto loss = sum(multiply(error, error));
    tape.backward(loss);
    losses.view().data[step] = *loss.value().data;
    if (step == 0)
      lone.each_parameter(
          [&](const std::string& name, Parameter<double>& p) { agrees("d." + name, read(p.gradient)); });
    adamw.step(0.02);
    if constexpr (requires { lone.layer.after_update(step, t); }) lone.layer.after_update(step, t);
  }
  agrees("losses", read(losses.view()));
  lone.each_parameter([&](const std::string& name, Parameter<double>& p) { agrees("end." + name, read(p.value)); });
}

}  // namespace binllm::test
