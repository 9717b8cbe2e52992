// SPDX-License-Identifier: MIT
#include "reference/views.hpp"

#include <binllm/ops/attention.hpp>

#include <doctest/doctest.h>

#include <xtensor/xtensor.hpp>

using namespace binllm;
using reference::Matrix;
using test::normal_tensor;

namespace {

/// Head `head` of row `b` of a block (B, T, heads * D).
template <class T>
Matrix head_of(View<T> x, Index b, Index head, Index head_dim) {
  const Matrix row = reference::matrix(x.slice(b));
  return xt::view(row, xt::all(), xt::range(head * head_dim, (head + 1) * head_dim));
}

template <class T>
void check(const Attention& a) {
  CAPTURE(a.queries);
  const Shape queries{a.batch, a.queries, a.heads * a.head_dim}, keys{a.batch, a.keys, a.kv_heads * a.head_dim};
  const auto q = normal_tensor<T>(queries, 1), k = normal_tensor<T>(keys, 2), v = normal_tensor<T>(keys, 3);
  const auto dy = normal_tensor<T>(queries, 4);
  Tape tape;
  const auto vq = tape.variable(q.view()), vk = tape.variable(k.view()), vv = tape.variable(v.view());
  const auto y = attention(vq, vk, vv, a.heads, a.kv_heads);
  reference::backward(y, dy);
  for (Index b = 0; b < a.batch; ++b) {
    for (Index kv = 0; kv < a.kv_heads; ++kv) {
      Matrix dk = xt::zeros<double>({a.keys, a.head_dim}), dv = xt::zeros<double>({a.keys, a.head_dim});
      for (Index h = kv * a.group(); h < (kv + 1) * a.group(); ++h) {
        const reference::Head head{head_of(q.view(), b, h, a.head_dim), head_of(k.view(), b, kv, a.head_dim),
                                   head_of(v.view(), b, kv, a.head_dim)};
        const reference::Head gradients = attention_backward(head, head_of(dy.view(), b, h, a.head_dim));
        dk += gradients.k;
        dv += gradients.v;
        const auto near = [&](View<T> found, const Matrix& wanted) {
          const Matrix part = head_of(found, b, h, a.head_dim);
          return reference::distance(View<const double>(part.data(), {a.queries, a.head_dim}), wanted);
        };
        CHECK(near(y.value(), reference::attention(head)) < reference::tolerance<T>);
        CHECK(near(vq.gradient(), gradients.q) < reference::tolerance<T>);
      }
      const Matrix found_k = head_of(vk.gradient(), b, kv, a.head_dim), found_v = head_of(vv.gradient(), b, kv, a.head_dim);
      const Shape shape{a.keys, a.head_dim};
      CHECK(reference::distance(View<const double>(found_k.data(), shape), dk) < reference::tolerance<T>);
      CHECK(reference::distance(View<const double>(found_v.data(), shape), dv) < reference::tolerance<T>);
    }
  }
}

}  // namespace

TEST_CASE_TEMPLATE("attention agrees with the reference, head by head", T, float, double) {
  check<T>({2, 5, 5, 4, 2, 8});
  check<T>({1, 1, 9, 2, 1, 3});
  check<T>({1, 66, 70, 3, 3, 5});
}
