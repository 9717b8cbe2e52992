// SPDX-License-Identifier: MIT
/// Kernels over rows of tokens: normalisation, cross-entropy, embedding; and the formulas without sums.
#pragma once
#include <binllm/core/random.hpp>
#include <binllm/device/host.hpp>
#include <binllm/ops/cross_entropy.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/rotary.hpp>
#include <binllm/ops/silu.hpp>

#include "cuda/measure.cuh"

namespace binllm::bench {

[[nodiscard]] inline std::string by(Index rows, Index cols) { return fmt::format("{} x {}", rows, cols); }

[[nodiscard]] inline Tensor<std::int32_t, Cuda> random_tokens(Index count, Index vocabulary) {
  Tensor<std::int32_t> ids(Shape{count});
  const Random random(1, Purpose::test);
  for (Index i = 0; i < count; ++i) {
    ids.view().data[i] =
        static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(vocabulary)));
  }
  Tensor<std::int32_t, Cuda> copy(Shape{count});
  copy_to_device(read(ids.view()), copy.view());
  return copy;
}

inline void measure_rms_norm(const Report& report, const TrainingShape& s) {
  const Shape shape{s.tokens(), s.dim}, row{s.dim};
  const Rotation rotation = Rotation::of(4 * size_of(shape));
  const Index room = std::max(GenericKernel<RmsNorm, Cuda>::workspace(shape), Kernel<RmsNorm, Cuda>::workspace(shape));
  Sets<bf16> x(rotation.sets, shape, 1), dy(rotation.sets, shape, 2), y(rotation.sets, shape, 3);
  Sets<float> w(1, row, 4), dw(1, row, 5), inverse(1, Shape{s.tokens()}, 6), memory(1, Shape{room}, 7);
  const auto forward = [&](auto kernel, int set) {
    decltype(kernel)::type::forward(read(x[set]), read(w[0]), 1e-5f, inverse[0], y[set]);
  };
  const auto backward = [&](auto kernel, int set) {  // dx has a part already, from beside the norm
    decltype(kernel)::type::backward(read(x[set]), read(w[0]), read(inverse[0]), read(dy[set]), memory[0],
                                     Gradient<bf16, Cuda>(y[set]), dw[0]);
  };
  const std::string text = by(s.tokens(), s.dim);
  report.add("rms_norm, forward", s, text, both<RmsNorm>(rotation, forward), moves(4 * size_of(shape)));
  report.add("rms_norm, backward", s, text, both<RmsNorm>(rotation, backward), moves(8 * size_of(shape)));
}

/// A chunk of logits, which becomes its gradient.
inline void measure_cross_entropy(const Report& report, const TrainingShape& s) {
  const Index rows = LogitChunk::rows<Cuda>(s.tokens(), s.vocabulary, sizeof(bf16));
  const Shape shape{rows, s.vocabulary};
  const Rotation rotation = Rotation::of(4 * size_of(shape));
  const auto targets = random_tokens(rows, s.vocabulary);
  Sets<bf16> logits(1, shape, 1);
  Sets<float> losses(1, Shape{rows}, 2), memory(1, Shape{GenericKernel<CrossEntropyRows, Cuda>::workspace(rows)}, 3);
  const auto forward = [&](auto kernel, int) {
    decltype(kernel)::type::forward(logits[0], targets.view(), 1e-4f, true, memory[0], losses[0]);
  };
  report.add("cross-entropy with gradient", s, by(rows, s.vocabulary), both<CrossEntropyRows>(rotation, forward),
             moves(4 * size_of(shape)));
}

inline void measure_embedding(const Report& report, const TrainingShape& s) {
  const Shape table{s.vocabulary, s.dim}, shape{s.tokens(), s.dim};
  const double rows = s.rows_read() * static_cast<double>(s.dim);
  const Rotation rotation = Rotation::of(2 * size_of(shape));
  const auto ids = random_tokens(s.tokens(), s.vocabulary);
  Sets<float> weight(2, table, 1), gradient(2, table, 2);
  Sets<bf16> y(rotation.sets, shape, 3);
  Tensor<std::byte, Cuda> memory(Shape{Kernel<Embedding, Cuda>::workspace(s.tokens())});
  const auto forward = [&](int set) { Kernel<Embedding, Cuda>::forward(ids.view(), read(weight[set % 2]), y[set]); };
  const auto backward = [&](int set) {
    Kernel<Embedding, Cuda>::backward(ids.view(), read(y[set]), memory.view(), gradient[set % 2]);
  };
  const std::string text = by(s.tokens(), s.dim);
  report.add("embedding", s, text, {{}, seconds(rotation, forward)}, moves(4 * rows + 2 * size_of(shape)));
  report.add("embedding, gradient", s, text, {{}, seconds(rotation, backward)}, moves(8 * rows + 2 * size_of(shape)));
}

/// Gradients hold nothing yet: they are written, or set to zero and added to.
inline void measure_swiglu(const Report& report, const TrainingShape& s) {
  const Shape shape{s.tokens(), s.hidden};
  const Rotation rotation = Rotation::of(6 * size_of(shape));
  const std::size_t bytes = sizeof(bf16) * static_cast<std::size_t>(shape.size());
  Sets<bf16> gate(rotation.sets, shape, 1), up(rotation.sets, shape, 2), y(rotation.sets, shape, 3);
  Sets<bf16> dgate(rotation.sets, shape, 4), dup(rotation.sets, shape, 5);
  using K = Kernel<SwiGlu, Cuda>;
  using To = Gradient<bf16, Cuda>;
  const auto forward = [&](int set) { K::forward(read(gate[set]), read(up[set]), y[set]); };
  const auto backward = [&](int set, bool fresh) {
    K::backward(read(gate[set]), read(up[set]), read(y[set]), To(dgate[set], fresh), To(dup[set], fresh));
  };
  const auto assign = [&](int set) { backward(set, true); };
  const auto zero_and_add = [&](int set) {
    Backend<Cuda>::zero(dgate[set].data, bytes);
    Backend<Cuda>::zero(dup[set].data, bytes);
    backward(set, false);
  };
  const std::string text = by(s.tokens(), s.hidden);
  report.add("swiglu, forward", s, text, {{}, seconds(rotation, forward)}, moves(6 * size_of(shape)));
  report.add("swiglu, backward", s, text,
             {seconds(rotation, zero_and_add), seconds(rotation, assign), "zeros, then adds"},
             moves(10 * size_of(shape)));
}

/// Of the queries.
inline void measure_rotary(const Report& report, const TrainingShape& s) {
  const Shape shape{s.batch, s.context, s.dim};
  const Rotation rotation = Rotation::of(4 * size_of(shape));
  const Shape angles{s.context, s.head_dim() / 2};
  Sets<float> cosine(1, angles, 1), sine(1, angles, 2);
  Sets<bf16> x(rotation.sets, shape, 3), y(rotation.sets, shape, 4);
  using K = Kernel<Rotary, Cuda>;
  const auto forward = [&](int set) { K::forward(read(x[set]), read(cosine[0]), read(sine[0]), Index{0}, s.head_dim(), y[set]); };
  const auto backward = [&](int set) {
    K::backward(read(cosine[0]), read(sine[0]), Index{0}, s.head_dim(), read(x[set]), Gradient<bf16, Cuda>(y[set], true));
  };
  const std::string text = by(s.tokens(), s.dim);
  report.add("rotary, forward", s, text, {{}, seconds(rotation, forward)}, moves(4 * size_of(shape)));
  report.add("rotary, backward", s, text, {{}, seconds(rotation, backward)}, moves(4 * size_of(shape)));
}

}  // namespace binllm::bench
