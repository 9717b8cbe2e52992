// SPDX-License-Identifier: MIT
/// The ceilings; what is added to a product or written by it, apart and in one; and attention.
#pragma once
#include <binllm/ops/add.hpp>
#include <binllm/ops/attention.hpp>

#include "cuda/measure.cuh"

namespace binllm::bench {

[[nodiscard]] inline Ceilings measure_ceilings() {
  using B = Backend<Cuda>;
  constexpr Index floats = Index{1} << 29, side = 8192;
  constexpr std::size_t bytes = sizeof(float) * static_cast<std::size_t>(floats);
  double copy = 0;
  {
    Sets<float> from(1, Shape{floats}, 1), to(1, Shape{floats}, 2);
    // by threads: the copy engine, which moves blocks from one place to another, is slower
    copy = seconds({1, 10}, [&](int) { B::map(to[0], formula::Identity{}, elements(from[0])); });
  }
  Sets<bf16> a(1, Shape{side, side}, 1), b(1, Shape{side, side}, 2), c(1, Shape{side, side}, 3);
  const double product = seconds({1, 20}, [&](int) { B::gemm(Product::nt, read(a[0]), read(b[0]), c[0]); });
  return {2.0 * static_cast<double>(bytes) / copy, 2.0 * std::pow(static_cast<double>(side), 3) / product};
}

/// In two ways each:
///   y = r + x w^T                                  a product and a sum, or the product that adds
///   dx = dy w, where dx holds nothing yet          zeros and a product that adds, or a product that writes
inline void measure_product(const Report& report, const TrainingShape& s, std::string_view name, Index out, Index in) {
  using B = Backend<Cuda>;
  const Shape narrow{s.tokens(), in}, wide{s.tokens(), out};
  const std::string text = fmt::format("{} x {} x {}", s.tokens(), out, in);
  const double operations = 2 * size_of(narrow) * static_cast<double>(out);
  const Rotation rotation = Rotation::of(2 * (size_of(narrow) + size_of(wide)));
  Sets<bf16> x(rotation.sets, narrow, 1), y(rotation.sets, wide, 2), product(rotation.sets, wide, 3);
  Sets<bf16> residual(rotation.sets, wide, 4), w(1, Shape{out, in}, 5, 0.02);
  const auto then_add = [&](int set) {
    B::gemm(Product::nt, read(x[set]), read(w[0]), product[set]);
    Kernel<Add, Cuda>::forward(read(residual[set]), read(product[set]), y[set]);
  };
  const auto adding = [&](int set) { B::gemm_add(Product::nt, read(x[set]), read(w[0]), read(residual[set]), y[set]); };
  report.add(fmt::format("product of {}, r + x w^T", name), s, text,
             {seconds(rotation, then_add), seconds(rotation, adding), "product, then sum"}, computes(operations));

  const auto zero_and_add = [&](int set) {
    B::zero(x[set].data, sizeof(bf16) * static_cast<std::size_t>(narrow.size()));
    B::gemm(Product::nn, read(y[set]), read(w[0]), x[set], Write::accumulate);
  };
  const auto assign = [&](int set) { B::gemm(Product::nn, read(y[set]), read(w[0]), x[set]); };
  report.add(fmt::format("product of {}, dx", name), s, text,
             {seconds(rotation, zero_and_add), seconds(rotation, assign), "zeros, then adds"}, computes(operations));
}

struct AttentionTimes {
  double forward, backward;
};
/// Activations in T. Gradients hold nothing yet, as in a step.
template <class K, class T>
[[nodiscard]] AttentionTimes attention_times(const Attention& a, const Rotation& rotation) {
  const Shape wide{a.batch, a.queries, a.heads * a.head_dim}, narrow{a.batch, a.keys, a.kv_heads * a.head_dim};
  const int sets = rotation.sets;
  Sets<T> q(sets, wide, 1), k(sets, narrow, 2), v(sets, narrow, 3), y(sets, wide, 4), dy(sets, wide, 5);
  Sets<T> dq(sets, wide, 6), dk(sets, narrow, 7), dv(sets, narrow, 8);
  Sets<float> lse(sets, Shape{a.batch, a.heads, a.queries}, 9), memory(1, Shape{K::workspace(a)}, 10);
  const auto forward = [&](int set) {
    K::forward(a, read(q[set]), read(k[set]), read(v[set]), memory[0], lse[set], y[set]);
  };
  const auto backward = [&](int set) {
    using To = Gradient<T, Cuda>;
    K::backward(a, read(q[set]), read(k[set]), read(v[set]), read(y[set]), read(lse[set]), read(dy[set]), memory[0],
                To(dq[set], true), To(dk[set], true), To(dv[set], true));
  };
  const double first = seconds(rotation, forward);
  return {first, seconds(rotation, backward)};
}

/// In bf16 beside the definition in float, which does one head of one sequence after the other: its time is that of
/// one sequence, times the batch.
inline void measure_attention(const Report& report, const TrainingShape& s) {
  const Attention a{s.batch, s.context, s.context, s.heads, s.kv_heads, s.head_dim()};
  Attention one = a;
  one.batch = 1;
  const auto plain = attention_times<GenericKernel<Attention, Cuda>, float>(one, {1, 2});
  const auto fused = attention_times<Kernel<Attention, Cuda>, bf16>(
      a, Rotation::of(4 * static_cast<double>(s.tokens()) * static_cast<double>(s.dim + s.kv_dim())));
  const auto batch = static_cast<double>(s.batch);
  const std::string text = fmt::format("{} x {} x {}/{}", s.batch, s.context, s.heads, s.kv_heads);
  report.add("attention, forward", s, text, {batch * plain.forward, fused.forward, "definition in float"},
             computes(s.attention_operations()));
  report.add("attention, backward", s, text, {batch * plain.backward, fused.backward, "definition in float"},
             computes(2.5 * s.attention_operations()));
}

}  // namespace binllm::bench
