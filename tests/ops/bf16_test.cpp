// SPDX-License-Identifier: MIT
// Ops that compute in bf16 on the CPU against the same in double, with every instruction set where products matter.
#include "support/instruction_sets.hpp"
#include "support/op_checks.hpp"

#include <binllm/device/gemm/bf16/kernels.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/ops/attention.hpp>
#include <binllm/ops/cached_attention.hpp>
#include <binllm/ops/cross_entropy.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/hadamard.hpp>
#include <binllm/ops/layer_norm.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/rotary.hpp>
#include <binllm/ops/silu.hpp>
#include <binllm/ops/softmax.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/ops/transient_linear.hpp>
#include <binllm/policy/progressive_sign.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

struct Extents {
  Index rows, in, out;
};
constexpr std::array<Extents, 6> extents{
    {{1, 1, 1}, {7, 13, 5}, {33, 65, 17}, {1, 64, 31}, {130, 576, 192}, {64, 24, 7}}};

double unit(Index terms) { return 1 / std::sqrt(static_cast<double>(terms)); }

template <class Body, class... Inputs>
void check_op(const Body& body, const Inputs&... inputs) {
  check_op_on<bf16, Cpu>(Asked::after, body, inputs...);
}
template <class Body>
void on_each_shape(const Body& body) {
  for (const Shape& shape : op_shapes) {
    CAPTURE(to_string(shape));
    body(shape);
  }
}
Shape columns(const Shape& shape) { return {shape.cols()}; }

/// Any scale policy.
template <class T>
struct ByTraits {
  using value_type = T;
  ScaleTraits chosen;
  [[nodiscard]] ScaleTraits traits() const { return chosen; }
};

}  // namespace

TEST_CASE("bf16: ops element by element") {
  on_each_shape([](const Shape& shape) {
    const auto x = activation(shape, 1), y = activation(shape, 2);
    check_op([](auto&, auto a, auto b) { return add(a, b); }, x, y);
    check_op([](auto&, auto a, auto b) { return multiply(a, b); }, x, y);
    check_op([](auto&, auto a, auto b) { return multiply(a, b); }, x, weight(columns(shape), 2));
    check_op([](auto&, auto a) { return sum(a); }, activation(shape, 1, 1, 0.5));
    check_op([](auto&, auto a) { return silu(a); }, activation(shape, 1, 2));
    check_op([](auto&, auto a, auto b) { return swiglu(a, b); }, activation(shape, 1, 2), y);
    check_op([](auto&, auto a) { return softmax(a); }, x);
  });
}

TEST_CASE("bf16: norms, rotary, hadamard") {
  on_each_shape([](const Shape& shape) {
    if (shape.cols() == 1) return;  // the gradient of one number's norm is 0 but for roundings
    const auto x = activation(shape, 1);
    const auto w = weight(columns(shape), 2, 0.5, 1), b = weight(columns(shape), 3);
    check_op([](auto&, auto a, auto u) { return rms_norm(a, u); }, x, w);
    check_op([](auto&, auto a, auto u, auto v) { return layer_norm(a, u, v); }, x, w, b);
  });
  for (const Index head : {Index{6}, Index{48}, Index{64}}) {
    check_op(
        [&](auto& round, auto x) {
          using R = std::remove_reference_t<decltype(round)>;
          const std::vector<double> frequencies(static_cast<std::size_t>(head / 2), 0.3);
          return rotary(x, round.keep(RotaryTable<typename R::Master, Cpu>(20, frequencies)), 3);
        },
        activation({2, 7, 3 * head}, 1));
  }
  for (const Index block : {1, 4, 32, 128})
    check_op([block](auto&, auto x) { return hadamard(x, block); }, activation({5, 3 * block}, 1));
}

TEST_CASE("bf16: linear layers, which may add a term") {
  on_each_instruction_set([] {
    for (const auto& [rows, in, out] : extents) {
      CAPTURE(in);
      const auto x = activation({rows, in}, 1);
      const auto w = weight({out, in}, 2, unit(in));
      check_op([](auto&, auto a, auto b) { return linear(a, b); }, x, w);
      check_op([](auto&, auto a, auto b, auto r) { return linear(a, b, r); }, x, w, activation({rows, out}, 4));
      check_op([](auto&, auto a, auto b, auto c) { return linear_with_bias(a, b, c); }, x, w, weight({out}, 4));
    }
  });
}

TEST_CASE("bf16: embedding, with ids that come again and again") {
  const auto ids = random_ids({3, 43}, 17, 4);
  check_op(
      [&](auto& round, auto table) {
        return embedding<typename std::remove_reference_t<decltype(round)>::Scalar>(round.data(ids), table);
      },
      weight({17, 70}, 1));
}

TEST_CASE("bf16: cross_entropy, in chunks, its value asked for before and after backward") {
  struct Case {
    Index rows, words, cols;
  };
  on_each_instruction_set([] {
    for (const Case& c : {Case{1, 2, 1}, Case{7, 13, 5}, Case{130, 1003, 48}, Case{1100, 65, 24}}) {
      CAPTURE(c.rows);
      const auto targets = random_ids({c.rows}, c.words, 4);
      const auto op = [&](auto& round, auto h, auto w) { return cross_entropy(h, w, round.data(targets)); };
      const auto h = activation({c.rows, c.cols}, 1);
      const auto w = weight({c.words, c.cols}, 2, unit(c.cols));
      check_op(op, h, w);
      check_op_on<bf16, Cpu>(Asked::before, op, h, w);
    }
  });
}

TEST_CASE("bf16: attention") {
  struct Case {
    Index batch, queries, keys, heads, kv_heads, dim;
  };
  on_each_instruction_set([] {
    for (const Case& c : {Case{1, 1, 1, 1, 1, 8}, Case{2, 5, 5, 2, 1, 8}, Case{1, 9, 9, 3, 3, 3},
                          Case{1, 33, 40, 4, 2, 6}, Case{2, 64, 64, 4, 2, 16}, Case{1, 130, 130, 3, 1, 64},
                          Case{1, 1, 77, 6, 2, 64}, Case{1, 37, 131, 4, 4, 48}}) {
      CAPTURE(c.queries);
      CAPTURE(c.keys);
      CAPTURE(c.dim);
      const auto op = [&](auto&, auto q, auto k, auto v) { return attention(q, k, v, c.heads, c.kv_heads); };
      const Shape of_keys{c.batch, c.keys, c.kv_heads * c.dim};
      check_op(op, activation({c.batch, c.queries, c.heads * c.dim}, 1), activation(of_keys, 2),
               activation(of_keys, 3));
    }
  });
}

TEST_CASE("bf16: attention to a cache") {
  constexpr Index sequences = 4, capacity = 140;
  constexpr std::array<Index, sequences> lengths{0, 70, 139, 100};
  constexpr std::array<Index, 3> chosen{3, 0, 1};
  for (const Index queries : {1, 3, 20}) {
    const CachedAttention a{3, queries, 9, 3, 64, capacity, chosen.data(), lengths.data()};
    const auto op = [&](auto&, auto q, auto keys, auto values) {
      return cached_attention(a, q, read(keys.value()), read(values.value()));
    };
    const Shape cache{sequences, 3, capacity, 64};
    check_op(op, activation({3, queries, 9 * 64}, 1), activation(cache, 2), activation(cache, 3));
  }
}

TEST_CASE("bf16: a linear layer through its binary weight, of every granularity") {
  for (const Granularity granularity : {Granularity::row, Granularity::column, Granularity::group}) {
    for (const double t : {0.3, 5.0}) {
      CAPTURE(static_cast<int>(granularity));
      CAPTURE(t);
      const ScaleTraits traits{granularity, granularity == Granularity::group ? 13 : 0, true, true, true};
      Tensor<double> sharpness({1});
      *sharpness.view().data = t;
      const Shape shape{33, 65};
      const auto op = [&](auto& round, auto x, auto w, auto learned) {
        using M = typename std::remove_reference_t<decltype(round)>::Master;
        using Function = BinaryWeight<ProgressiveSign<M>, ByTraits<M>, Cpu>;
        return transient_linear(x,
                                Function{ProgressiveSign<M>{}, ByTraits<M>{traits}, w, learned, round.data(sharpness)});
      };
      check_op(op, activation({9, shape[1]}, 1), weight(shape, 7), weight(traits.shape(shape[0], shape[1]), 8, 0.1, 1));
    }
  }
}
