// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/attention.hpp>

#include <cmath>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Everything that one kernel writes, for random inputs.
template <class T>
struct Outputs {
  Tensor<T> y, lse, dq, dk, dv;

  template <class K>
  Outputs(K, const Attention& a) {
    const Shape queries{a.batch, a.queries, a.heads * a.head_dim}, keys{a.batch, a.keys, a.kv_heads * a.head_dim};
    const auto q = normal_tensor<T>(queries, 1), k = normal_tensor<T>(keys, 2), v = normal_tensor<T>(keys, 3);
    const auto dy = normal_tensor<T>(queries, 4);
    y = Tensor<T>(queries), lse = Tensor<T>({a.batch, a.heads, a.queries});
    dq = normal_tensor<T>(queries, 5), dk = normal_tensor<T>(keys, 6), dv = normal_tensor<T>(keys, 7);
    Tensor<T> memory({K::workspace(a)});
    K::forward(a, q.view(), k.view(), v.view(), memory.view(), lse.view(), y.view());
    K::backward(a, q.view(), k.view(), v.view(), read(y.view()), read(lse.view()), dy.view(), memory.view(), dq.view(),
                dk.view(), dv.view());
  }
  [[nodiscard]] double difference(const Outputs& other) const {
    return std::max({largest_difference(y.view(), other.y.view()), largest_difference(lse.view(), other.lse.view()),
                     largest_difference(dq.view(), other.dq.view()), largest_difference(dk.view(), other.dk.view()),
                     largest_difference(dv.view(), other.dv.view())});
  }
};

/// Tiles of 64 queries, whole and cut, with and without keys from before.
const std::array<Attention, 6> cases{Attention{2, 1, 1, 4, 2, 8},     Attention{1, 1, 70, 2, 2, 5},
                                     Attention{2, 63, 68, 4, 2, 8},   Attention{1, 64, 64, 3, 1, 16},
                                     Attention{1, 130, 131, 2, 1, 7}, Attention{1, 200, 200, 2, 2, 64}};

}  // namespace

TEST_CASE("attention: values; a query sees itself and what came before") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto zero = tape.template constant<double>({{0, 0}, {0, 0}}).reshaped({1, 2, 2});
    const auto v = tape.template constant<double>({{1, 10}, {3, 50}}).reshaped({1, 2, 2});
    CHECK(largest_difference(attention(zero, zero, v, 1, 1).value(), {1, 10, 2, 30}) < 1e-14);
    const auto last = tape.template constant<double>({{0, 0}}).reshaped({1, 1, 2});
    CHECK(largest_difference(attention(last, zero, v, 1, 1).value(), {2, 30}) < 1e-14);
    // Scores log 3 and 0: probabilities 3/4 and 1/4.
    const auto q = tape.template constant<double>({{0, 0, 0, 0}, {2 * std::log(3.0), 0, 0, 0}}).reshaped({1, 2, 4});
    const auto k = tape.template constant<double>({{1, 5, 0, 0}, {0, 7, 0, 0}}).reshaped({1, 2, 4});
    const auto w = tape.template constant<double>({{4, 0, 8, 1}, {0, 4, 8, 2}}).reshaped({1, 2, 4});
    CHECK(largest_difference(attention(q, k, w, 1, 1).value(), {4, 0, 8, 1, 3, 1, 8, 1.25}) < 1e-14);
  });
}

TEST_CASE("attention: query head h reads key-value head h / group") {
  Tape tape;
  const auto q = tape.constant<double>({{0, 0, 0, 0}}).reshaped({1, 1, 4});
  const auto v = tape.constant<double>({{1, 2}}).reshaped({1, 1, 2});
  CHECK(largest_difference(attention(q, v, v, 4, 2).value(), {1, 1, 2, 2}) == 0);
  CHECK(largest_difference(attention(q, v, v, 2, 1).value(), {1, 2, 1, 2}) == 0);
}

TEST_CASE("attention: gradients, and frozen inputs") {
  const auto op = [](auto q, auto k, auto v) { return attention(q, k, v, 4, 2); };
  for (const Attention& a : {Attention{2, 1, 1, 4, 2, 1}, Attention{1, 3, 3, 4, 2, 5}, Attention{1, 66, 67, 4, 2, 2}}) {
    Tensor<double> q = normal_tensor({a.batch, a.queries, a.heads * a.head_dim}, 1);
    Tensor<double> k = normal_tensor({a.batch, a.keys, a.kv_heads * a.head_dim}, 2);
    Tensor<double> v = normal_tensor({a.batch, a.keys, a.kv_heads * a.head_dim}, 3);
    if (a.keys > 1) CHECK(gradient_error_of(op, q, k, v) < 1e-6);
    CHECK(frozen_inputs_work(op, q, k, v));
  }
}

TEST_CASE_TEMPLATE("attention: the tiled kernel agrees with the generic one", T, float, double) {
  const double tolerance = std::is_same_v<T, float> ? 2e-5 : 1e-13;
  for (const Attention& a : cases) {
    CAPTURE(a.queries);
    const Outputs<T> generic(GenericKernel<Attention, Cpu>{}, a), tiled(Kernel<Attention, Cpu>{}, a);
    CHECK(tiled.difference(generic) < tolerance);
  }
}

TEST_CASE("attention: the same bits at any number of threads") {
  for (const Attention& a : cases) {
    const Outputs<float> once(Kernel<Attention, Cpu>{}, a);
    for (const int count : {2, 3}) {
      const Threads threads(count);
      CHECK(Outputs<float>(Kernel<Attention, Cpu>{}, a).difference(once) == 0);
    }
  }
}

TEST_CASE_TEMPLATE("attention: few queries against many keys agree with the generic kernel", T, float, double) {
  const double tolerance = std::is_same_v<T, float> ? 2e-5 : 1e-13;
  for (const Index group : {1, 3, 4}) {
    for (const Index dim : {1, 3, 64, 80}) {
      for (const Index keys : {1, 2, 5, 127, 128, 129, 300}) {
        for (const Index queries : {1, 2, 4}) {
          if (queries > keys) continue;
          CAPTURE(group);
          CAPTURE(dim);
          CAPTURE(keys);
          CAPTURE(queries);
          const Attention a{2, queries, keys, 2 * group, 2, dim};
          const Outputs<T> generic(GenericKernel<Attention, Cpu>{}, a), fast(Kernel<Attention, Cpu>{}, a);
          CHECK(fast.difference(generic) < tolerance);
        }
      }
    }
  }
}

TEST_CASE("attention: large scores do not overflow") {
  Tape tape;
  const auto q = tape.constant<double>({{1e200}, {1e200}}).reshaped({1, 2, 1});
  const auto v = tape.constant<double>({{1}, {2}}).reshaped({1, 2, 1});
  CHECK(largest_difference(attention(q, v, v, 1, 1).value(), {1, 2}) == 0);
}

TEST_CASE("attention: errors") {
  Tape tape, other;
  const auto make = [](Tape<>& on, Shape shape) { return on.constant(read(normal_tensor(shape, 1).view())); };
  const auto q = make(tape, {2, 3, 8}), k = make(tape, {2, 5, 4});
  const auto id = [&](auto queries, auto keys, auto values, Index heads, Index kv_heads) {
    return id_of([&] { (void)attention(queries, keys, values, heads, kv_heads); });
  };
  CHECK(id(q.reshaped({6, 8}), k, k, 4, 2) == ErrorId::rank_unsupported);
  CHECK(id(q, k.reshaped({10, 4}), k, 4, 2) == ErrorId::rank_unsupported);
  CHECK(id(q, k, make(tape, {2, 4, 4}), 4, 2) == ErrorId::shape_mismatch);
  CHECK(id(make(tape, {1, 3, 8}), k, k, 4, 2) == ErrorId::shape_mismatch);
  CHECK(id(make(tape, {2, 6, 8}), k, k, 4, 2) == ErrorId::shape_mismatch);  // more queries than keys
  CHECK(id(q, k, k, 3, 1) == ErrorId::shape_mismatch);
  CHECK(id(q, k, k, 0, 0) == ErrorId::shape_mismatch);
  CHECK(id(q, k, k, 4, 1) == ErrorId::shape_mismatch);
  CHECK(id(make(tape, {2, 3, 6}), k, k, 3, 2) == ErrorId::config_inconsistent);
  CHECK(id(q, make(other, {2, 5, 4}), k, 4, 2) == ErrorId::foreign_tape);
}
