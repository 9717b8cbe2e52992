// SPDX-License-Identifier: MIT
// Built twice, with different flags, as the functions `one` and `other`.
#include <binllm/binllm.hpp>

#include <vector>

using namespace binllm;

namespace {

Variable<float> random_leaf(Tape<>& tape, std::uint64_t step, Shape shape) {
  const Random random(/*seed=*/3, Purpose::test, step);
  Tensor<float> values(shape);
  for (Index i = 0; i < shape.size(); ++i)
    values.view().data[i] = static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
  return tape.variable(read(values.view()));
}

void append(std::vector<float>& numbers, View<const float> view) {
  numbers.insert(numbers.end(), view.data, view.data + view.size());
}

}  // namespace

/// Layouts that both units must share, then the values and gradients of a small binary layer, and a product of bf16.
std::vector<float> UNIT() {
  std::vector<float> numbers{static_cast<float>(sizeof(Tape<>)), static_cast<float>(sizeof(Tensor<float>)),
                             static_cast<float>(sizeof(ThreadPool)), static_cast<float>(alignof(Pack<float>)),
                             static_cast<float>(alignof(Pack<double>))};
  set_thread_count(2);
  Tape<> tape;
  const auto x = random_leaf(tape, 0, {33, 70});
  const auto w = random_leaf(tape, 1, {40, 70});
  const auto scale = random_leaf(tape, 2, {40});
  Tensor<double> t(Shape{1});
  t.view().data[0] = 1.7;
  const auto wb = binarize_weight<ProgressiveSign<float>, DualScale<float>>(w, scale, read(t.view()));
  const auto y = softmax(linear(x, wb));
  tape.backward(sum(multiply(y, y)));
  append(numbers, y.value());
  append(numbers, x.gradient());
  append(numbers, w.gradient());
  append(numbers, scale.gradient());
  Tensor<bf16> left(Shape{33, 70}), right(Shape{40, 70});
  Kernel<Conversion, Cpu>::forward(read(x.value()), left.view());
  Kernel<Conversion, Cpu>::forward(read(w.value()), right.view());
  Tensor<float> product(Shape{33, 40});
  Backend<Cpu>::gemm(Product::nt, read(left.view()), read(right.view()), product.view());
  append(numbers, read(product.view()));
  set_thread_count(1);
  return numbers;
}
