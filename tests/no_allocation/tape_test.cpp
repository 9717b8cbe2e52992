// SPDX-License-Identifier: MIT
#include "no_allocation/counter.hpp"
#include "support/tensors.hpp"

#include <binllm/autodiff/variable.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <new>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// All parameters of a 64-64-1 network, in one block.
template <class T>
struct Network {
  Tensor<T> values = normal_tensor<T>({4225}, 1, 0.1), gradients{{4225}};

  [[nodiscard]] Parameter<T> at(Index first, Shape shape) {
    Parameter<T> parameter(shape);
    parameter.value = {values.view().data + first, shape};
    parameter.gradient = {gradients.view().data + first, shape};
    return parameter;
  }
  /// The sum of (w2 tanh(w1 x + b1) + b2)^2 over the rows x of the input, and all gradients.
  void step(Tape<>& tape, const Tensor<T>& input) {
    tape.reset();
    const auto x = tape.constant(input.view());
    const auto w1 = tape.use(at(0, {64, 64})), b1 = tape.use(at(4096, {64}));
    const auto w2 = tape.use(at(4160, {1, 64})), b2 = tape.use(at(4224, {1}));
    const auto y = add(linear(tanh(add(linear(x, w1), b1)), w2), b2);
    const auto loss = multiply(y, y);
    tape.backward(loss.shape().size() == 1 ? loss : sum(loss));
  }
};

void* volatile seen;

template <class Action>
std::size_t allocations_of(const Action& action) {
  const std::size_t before = allocations();
  action();
  return allocations() - before;
}

}  // namespace

TEST_CASE("requests are counted, whoever makes them" * doctest::skip(!allocations_counted)) {
  const auto use = [](auto memory) {  // or the compiler would leave the request out
    seen = memory;
    return memory;
  };
  CHECK(allocations_of([&] { std::free(use(std::malloc(8))); }) == 1);
  CHECK(allocations_of([&] { std::free(use(std::aligned_alloc(64, 64))); }) == 1);
  CHECK(allocations_of([&] { delete use(new int(3)); }) == 1);
  CHECK(allocations_of([&] { ::operator delete(use(::operator new(8, std::nothrow))); }) == 1);
  CHECK(allocations_of([&] { use(std::vector<int>(3).data()); }) == 1);
  CHECK(allocations_of([] { Tensor<float> tensor({3}); }) == 1);
  CHECK(allocations_of([] { Eigen::ArrayXf array(300); }) == 1);
}

TEST_CASE_TEMPLATE("a training step after the first asks for no memory" * doctest::skip(!allocations_counted), T, float,
                   double) {
  for (const int count : {1, 2}) {
    const Threads threads(count);
    Network<T> network;
    const auto input = normal_tensor<T>({1, 64}, 2), batch = normal_tensor<T>({100, 64}, 3);
    for (const auto* rows : {&input, &batch}) {
      Tape tape;
      network.step(tape, *rows);
      CHECK(network.gradients.view().flat().abs().minCoeff() > 0);
      CHECK(allocations_of([&] {
              for (int i = 0; i < 10; ++i) network.step(tape, *rows);
            }) == 0);
    }
  }
}
