// SPDX-License-Identifier: MIT
// Ops that are formulas over elements, rows or columns.
#include "cuda/ops.hpp"

using namespace binllm;
using namespace binllm::test;

namespace {

/// Calls body(shape) for every shape of the ops' tests.
template <class Body>
void on_each_shape(const Body& body) {
  for (const Shape& shape : op_shapes) {
    CAPTURE(to_string(shape));
    body(shape);
  }
}
Shape columns(const Shape& shape) { return {shape.cols()}; }

}  // namespace

TEST_CASE("cuda ops: add, of two blocks and of a block and a row") {
  if (!gpu()) return;
  const auto op = [](auto&, auto a, auto b) { return add(a, b); };
  on_each_shape([&](const Shape& shape) {
    check_op(op, activation(shape, 1), activation(shape, 2));
    check_op(op, activation(shape, 1), activation(columns(shape), 2));
  });
}

TEST_CASE("cuda ops: multiply, by a block, by a row, and by factors of the master type") {
  if (!gpu()) return;
  const auto op = [](auto&, auto a, auto b) { return multiply(a, b); };
  on_each_shape([&](const Shape& shape) {
    check_op(op, activation(shape, 1), activation(shape, 2));
    check_op(op, activation(shape, 1), activation(columns(shape), 2));
    check_op(op, activation(shape, 1), weight(shape, 2));
    check_op(op, activation(shape, 1), weight(columns(shape), 2));
  });
}

TEST_CASE("cuda ops: a variable that is both factors, and both terms") {
  if (!gpu()) return;
  check_op([](auto&, auto a) { return add(a, multiply(a, a)); }, activation({33, 65}, 1));
}

TEST_CASE("cuda ops: scale, sum and mean") {
  if (!gpu()) return;
  on_each_shape([](const Shape& shape) {
    check_op([](auto&, auto x) { return scale(x, 0.3); }, activation(shape, 1));
    check_op([](auto&, auto x) { return sum(x); }, activation(shape, 1, 1, 0.5));
    check_op([](auto&, auto x) { return mean(x); }, activation(shape, 1, 1, 0.5));
  });
}

TEST_CASE("cuda ops: silu, tanh, swiglu") {
  if (!gpu()) return;
  on_each_shape([](const Shape& shape) {
    check_op([](auto&, auto x) { return silu(x); }, activation(shape, 1, 2));
    check_op([](auto&, auto x) { return binllm::tanh(x); }, activation(shape, 1, 2));
    check_op([](auto&, auto gate, auto up) { return swiglu(gate, up); }, activation(shape, 1, 2), activation(shape, 2));
  });
}

TEST_CASE("cuda ops: silu, tanh and swiglu far from 0") {
  if (!gpu()) return;
  check_op([](auto&, auto x) { return silu(x); }, activation({7, 13}, 1, 40));
  check_op([](auto&, auto x) { return binllm::tanh(x); }, activation({7, 13}, 1, 40));
  check_op([](auto&, auto x) { return binllm::tanh(x); }, activation({7, 13}, 1, 1e-3));
  check_op([](auto&, auto a, auto b) { return swiglu(a, b); }, activation({7, 13}, 1, 40), activation({7, 13}, 2));
}

TEST_CASE("cuda ops: progressive_sign") {
  if (!gpu()) return;
  for (const double t : {0.0, 0.3, 5.0, std::numeric_limits<double>::infinity()}) {
    CAPTURE(t);
    on_each_shape([=](const Shape& shape) {
      const auto op = [=](auto&, auto x) { return progressive_sign(x, static_cast<typename decltype(x)::Scalar>(t)); };
      check_op_in_each<float, double>(op, activation(shape, 1));
    });
  }
}

TEST_CASE("cuda ops: softmax") {
  if (!gpu()) return;
  on_each_shape([](const Shape& shape) { check_op([](auto&, auto x) { return softmax(x); }, activation(shape, 1)); });
  check_op_in_each<float, double>([](auto&, auto x) { return softmax(x); }, activation({5, 40}, 1, 8));
}

TEST_CASE("cuda ops: rms_norm") {
  if (!gpu()) return;
  on_each_shape([](const Shape& shape) {
    const auto op = [](auto&, auto x, auto w) { return rms_norm(x, w); };
    check_op(op, activation(shape, 1), weight(columns(shape), 2, 0.2, 1));
  });
  check_op([](auto&, auto x, auto w) { return rms_norm(x, w, 1e-2); }, activation({3, 64}, 1, 0.05), weight({64}, 2));
}

TEST_CASE("cuda ops: standardise") {
  if (!gpu()) return;
  on_each_shape([](const Shape& shape) {
    if (shape.cols() > 1) check_op([](auto&, auto x) { return standardise(x); }, activation(shape, 1));
  });
}

TEST_CASE("cuda ops: prelu") {
  if (!gpu()) return;
  on_each_shape([](const Shape& shape) {
    check_op([](auto&, auto x, auto a) { return prelu(x, a); }, activation(shape, 1), weight(columns(shape), 2));
  });
}

TEST_CASE("cuda ops: quantise_activations, all of the rounding and a share of it") {
  if (!gpu()) return;
  const auto share = [](auto& round, auto x) {
    Tensor<double> t(Shape{1});
    t.view().data[0] = 0.25;
    return quantise_activations(x, round.data(t));
  };
  for (const Shape& shape : {Shape{1, 1}, Shape{7, 13}, Shape{3, 32}, Shape{2, 3, 70}}) {
    check_op([](auto&, auto x) { return quantise_activations(x); }, activation(shape, 1));
    check_op(share, activation(shape, 1));
  }
}

TEST_CASE("cuda ops: rotary") {
  if (!gpu()) return;
  struct Case {
    Index batch, tokens, heads, head_dim, first;
  };
  for (const Case c : {Case{1, 1, 1, 2, 0}, Case{2, 7, 3, 6, 0}, Case{2, 5, 2, 10, 3}, Case{1, 130, 9, 64, 0},
                       Case{3, 17, 4, 8, 11}, Case{1, 9, 2, 128, 2}}) {
    CAPTURE(c.head_dim);
    std::vector<double> frequencies;
    for (Index j = 0; j < c.head_dim / 2; ++j) frequencies.push_back(std::pow(0.7, static_cast<double>(j)));
    const auto op = [&](auto& round, auto x) {
      using R = std::remove_reference_t<decltype(round)>;
      using Table = RotaryTable<typename R::Master, typename R::Device>;
      return rotary(x, round.keep(Table(c.first + c.tokens, frequencies)), c.first);
    };
    check_op(op, activation({c.batch, c.tokens, c.heads * c.head_dim}, 1));
  }
}

TEST_CASE("cuda ops: repeat_head_groups") {
  if (!gpu()) return;
  const auto op = [](Index group, Index head_dim) {
    return [=](auto&, auto x) { return repeat_head_groups(x, group, head_dim); };
  };
  check_op_in_each<float, double>(op(3, 7), activation({28}, 1));
  check_op_in_each<float, double>(op(1, 16), activation({48}, 1));
  check_op_in_each<float, double>(op(4, 64), activation({192}, 1));
}

TEST_CASE("cuda ops: channel_scale") {
  if (!gpu()) return;
  on_each_shape([](const Shape& shape) {
    const auto op = [](auto&, auto x, auto u) { return channel_scale(x, u); };
    check_op(op, activation(shape, 1), weight(columns(shape), 2, 0.3));
  });
}

TEST_CASE("cuda ops: the moves of channel scales into weights") {
  if (!gpu()) return;
  const auto moved = []<class T, class D>(auto op, Index channels, const Tensor<T>& weights, D) {
    const auto u = on_device<D>(typed<T, T>(normal_tensor({channels}, 2, 0.3)));
    auto w = on_device<D>(weights);
    Kernel<decltype(op), D>::forward(read(u.view()), w.view());
    return in_double(w.view());
  };
  for (const Shape& shape : {Shape{1, 1}, Shape{7, 13}, Shape{64, 48}}) {
    const auto weights = normal_tensor<float>(shape, 1);
    const auto agree = [&](auto op, Index channels) {
      return relative_distance(moved(op, channels, weights, Cuda{}), moved(op, channels, weights, Cpu{})) < 1e-6;
    };
    CHECK(agree(DivideColumns{}, shape.cols()));
    CHECK(agree(MultiplyColumns{}, shape.cols()));
    CHECK(agree(MultiplyRows{}, shape.rows()));
  }
}
