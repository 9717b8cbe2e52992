// SPDX-License-Identifier: MIT
/// A second implementation of the ops that are hardest to get right, written from their equations in the style of
/// NumPy, in double, without a thought for speed, and without a line in common with the library.
#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmanipulation.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xsort.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

namespace binllm::reference {

using Vector = xt::xtensor<double, 1>;
using Matrix = xt::xtensor<double, 2>;
using Cube = xt::xtensor<double, 3>;

/// a[:, :, None] * b[None, :, :], summed over the middle.
inline Matrix matmul(const Matrix& a, const Matrix& b) {
  const Cube products = xt::view(a, xt::all(), xt::all(), xt::newaxis()) * xt::view(b, xt::newaxis(), xt::all(), xt::all());
  return xt::sum(products, {1});
}
inline Matrix transposed(const Matrix& a) { return xt::transpose(a); }
inline Matrix row_sums(const Matrix& a) { return xt::sum(a, {1}, xt::keep_dims); }

// ---- softmax over the last axis

inline Matrix softmax(const Matrix& x) {
  const Matrix most = xt::amax(x, {1}, xt::keep_dims);
  const Matrix e = xt::exp(x - most);
  return e / row_sums(e);
}
inline Matrix softmax_backward(const Matrix& y, const Matrix& dy) {
  const Matrix inner = y * dy;
  return y * (dy - row_sums(inner));
}

// ---- y = w x / sqrt(mean x^2 + epsilon)

inline Matrix rms_norm(const Matrix& x, const Vector& w, double epsilon) {
  const Matrix mean_square = xt::mean(x * x, {1}, xt::keep_dims);
  return w * x / xt::sqrt(mean_square + epsilon);
}
struct RmsNormGradients {
  Matrix x;
  Vector w;
};
/// With n = x / r, r = sqrt(mean x^2 + epsilon) and dn = w dy:
///   dx = (dn - n mean(n dn)) / r
///   dw = sum over rows of n dy
inline RmsNormGradients rms_norm_backward(const Matrix& x, const Vector& w, double epsilon, const Matrix& dy) {
  const Matrix r = xt::sqrt(xt::mean(x * x, {1}, xt::keep_dims) + epsilon);
  const Matrix n = x / r;
  const Matrix dn = w * dy;
  const Matrix inner = xt::mean(n * dn, {1}, xt::keep_dims);
  return {(dn - n * inner) / r, xt::sum(n * dy, {0})};
}

// ---- y = w n + b, n = (x - mean x) / sqrt(mean (x - mean x)^2 + epsilon)

inline Matrix row_means(const Matrix& x) { return xt::mean(x, {1}, xt::keep_dims); }
inline Matrix deviations(const Matrix& x) {
  const Matrix means = row_means(x);
  return x - means;
}
/// r = sqrt(mean c^2 + epsilon)
inline Matrix root_mean_square(const Matrix& c, double epsilon) {
  const Matrix square = c * c, mean_square = row_means(square);
  return xt::sqrt(mean_square + epsilon);
}
inline Matrix layer_norm(const Matrix& x, const Vector& w, const Vector& b, double epsilon) {
  const Matrix c = deviations(x), r = root_mean_square(c, epsilon);
  return w * c / r + b;
}
struct LayerNormGradients {
  Matrix x;
  Vector w, b;
};
/// By the chain rule, one step after the other: of the division by r = sqrt(v + epsilon), of the variance v, of the mean.
inline LayerNormGradients layer_norm_backward(const Matrix& x, const Vector& w, double epsilon, const Matrix& dy) {
  const double count = static_cast<double>(x.shape(1));
  const Matrix c = deviations(x), r = root_mean_square(c, epsilon);
  const Matrix dn = w * dy, by_r = c * dn;
  const Matrix dr = -row_sums(by_r) / (r * r), dv = dr / (2.0 * r);
  const Matrix dc = dn / r + 2.0 * c * dv / count, dmean = row_sums(dc);
  const Matrix n = c / r, dw = n * dy;
  return {dc - dmean / count, xt::sum(dw, {0}), xt::sum(dy, {0})};
}

// ---- causal attention of one head: q (T, D), k and v (U, D)

struct Head {
  Matrix q, k, v;
};
inline Matrix probabilities(const Head& head) {
  const std::size_t queries = head.q.shape(0), keys = head.k.shape(0);
  Matrix scores = matmul(head.q, transposed(head.k)) / std::sqrt(static_cast<double>(head.q.shape(1)));
  for (std::size_t i = 0; i < queries; ++i) {
    for (std::size_t j = i + keys - queries + 1; j < keys; ++j) scores(i, j) = -std::numeric_limits<double>::infinity();
  }
  return softmax(scores);
}
inline Matrix attention(const Head& head) { return matmul(probabilities(head), head.v); }
inline Head attention_backward(const Head& head, const Matrix& dy) {
  const Matrix p = probabilities(head);
  const Matrix ds = softmax_backward(p, matmul(dy, transposed(head.v))) / std::sqrt(static_cast<double>(head.q.shape(1)));
  return {matmul(ds, head.k), matmul(transposed(ds), head.q), matmul(transposed(p), dy)};
}

// ---- mean cross-entropy of softmax(h w^T) at the targets

inline Matrix one_hot(const std::vector<std::size_t>& targets, std::size_t words) {
  Matrix hot = xt::zeros<double>({targets.size(), words});
  for (std::size_t n = 0; n < targets.size(); ++n) hot(n, targets[n]) = 1;
  return hot;
}
inline double cross_entropy(const Matrix& h, const Matrix& w, const std::vector<std::size_t>& targets) {
  const Matrix p = softmax(matmul(h, transposed(w)));
  const Matrix at_target = row_sums(p * one_hot(targets, w.shape(0)));
  return -xt::mean(xt::log(at_target))();
}
struct CrossEntropyGradients {
  Matrix h, w;
};
inline CrossEntropyGradients cross_entropy_backward(const Matrix& h, const Matrix& w, const std::vector<std::size_t>& targets) {
  const Matrix p = softmax(matmul(h, transposed(w)));
  const Matrix dz = (p - one_hot(targets, w.shape(0))) / static_cast<double>(targets.size());
  return {matmul(dz, w), matmul(transposed(dz), h)};
}

// ---- the binarising op: W_b = S_l S_a F(W / S_a, t), F(x, t) = tanh(t x) / tanh(t)

/// A weight as a block (O, I/g, g), and the axes over which its scales average.
struct Grouping {
  std::array<std::size_t, 3> shape;
  std::vector<std::size_t> axes;
};
inline Grouping by_row(std::size_t rows, std::size_t cols) { return {{rows, 1, cols}, {2}}; }
inline Grouping by_column(std::size_t rows, std::size_t cols) { return {{rows, cols, 1}, {0}}; }
inline Grouping by_tensor(std::size_t rows, std::size_t cols) { return {{rows, 1, cols}, {0, 1, 2}}; }
inline Grouping by_group(std::size_t rows, std::size_t cols, std::size_t group) { return {{rows, cols / group, group}, {2}}; }

inline Cube group_mean(const Cube& x, const Grouping& grouping) { return xt::mean(x, grouping.axes, xt::keep_dims); }
inline Cube group_sum(const Cube& x, const Grouping& grouping) { return xt::sum(x, grouping.axes, xt::keep_dims); }
inline Cube progressive(const Cube& x, double t) { return xt::tanh(t * x) / std::tanh(t); }
inline Cube progressive_slope(const Cube& x, double t) { return t * (1 - xt::pow<2>(xt::tanh(t * x))) / std::tanh(t); }

struct BinarizeGradients {
  Cube w, learned;
};

/// Both scales; all blocks in the grouping's shape, S_l with 1 for the axes that it averages over.
inline Cube dual(const Cube& w, const Cube& s_l, double t, const Grouping& grouping) {
  const Cube s_a = group_mean(xt::abs(w), grouping);
  return s_l * s_a * progressive(w / s_a, t);
}
inline BinarizeGradients dual_backward(const Cube& w, const Cube& s_l, double t, const Grouping& grouping, const Cube& g,
                                       bool attached) {
  const Cube s_a = group_mean(xt::abs(w), grouping);
  const Cube x = w / s_a;
  const Cube f = progressive(x, t), df = progressive_slope(x, t);
  Cube through_scale = xt::zeros_like(w);
  if (attached) through_scale = xt::sign(w) * group_mean(g * (f - x * df), grouping);
  return {s_l * (g * df + through_scale), s_a * group_sum(g * f, grouping)};
}
/// S_l alone: W_b = S_l F(W / S_l, t).
inline Cube learned(const Cube& w, const Cube& s_l, double t) { return s_l * progressive(w / s_l, t); }
inline BinarizeGradients learned_backward(const Cube& w, const Cube& s_l, double t, const Grouping& grouping, const Cube& g) {
  const Cube x = w / s_l;
  const Cube f = progressive(x, t), df = progressive_slope(x, t);
  return {g * df, group_sum(g * (f - x * df), grouping)};
}

}  // namespace binllm::reference
