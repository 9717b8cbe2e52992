// SPDX-License-Identifier: MIT
/// The factor of an inverse Hessian that methods which make up for errors of earlier columns go by:
///
///     H^-1 = U^T U,    U upper triangular
///
/// found as U = R^-1 with H = R R^T, R upper triangular: a Cholesky factorisation from the last column to the first and
/// the inverse of a triangular matrix. Neither H^-1 nor a third factorisation is made. In blocks, on all threads.
#pragma once
#include <binllm/core/check.hpp>
#include <binllm/core/options.hpp>
#include <binllm/device/cpu.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace binllm {

namespace detail {

/// A square matrix in blocks of rows and columns, the last ones shorter.
struct SquareBlocks {
  static constexpr Index size = 96;
  double* data;
  Index n;

  [[nodiscard]] Index count() const { return (n + size - 1) / size; }
  [[nodiscard]] Index extent(Index block) const { return std::min(size, n - block * size); }
  [[nodiscard]] double* at(Index row, Index col) const { return data + row * size * n + col * size; }
  [[nodiscard]] cpu::Operand<double> factor(Index row, Index col, bool transposed = false) const {
    return {at(row, col), n, transposed};
  }
};
[[nodiscard]] inline std::size_t block_product_bytes(Index n) {
  return cpu::gemm_bytes<double>(SquareBlocks::size, SquareBlocks::size, n);
}

/// A = R R^T in place, R upper triangular, of one block. False where a pivot is not positive.
[[nodiscard]] inline bool factor_block(double* a, Index n, Index stride) {
  for (Index c = n - 1; c >= 0; --c) {
    const double pivot = a[c * stride + c];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    const double root = a[c * stride + c] = std::sqrt(pivot);
    for (Index i = 0; i < c; ++i) a[i * stride + c] /= root;
    for (Index i = 0; i < c; ++i) {
      for (Index j = i; j < c; ++j) a[i * stride + j] -= a[i * stride + c] * a[j * stride + c];
    }
  }
  return true;
}
/// X R^T = A in place of A (rows, n).
inline void solve_block(const double* r, double* a, Index rows, Index n, Index stride) {
  for (Index i = 0; i < rows; ++i) {
    double* const x = a + i * stride;
    for (Index c = n - 1; c >= 0; --c) {
      double sum = x[c];
      for (Index m = c + 1; m < n; ++m) sum -= x[m] * r[c * stride + m];
      x[c] = sum / r[c * stride + c];
    }
  }
}

/// H = R R^T in place of the upper triangle; what is below stays. False where H is not positive definite.
[[nodiscard]] inline bool factor_from_the_end(View<double> h) {
  const SquareBlocks b{h.data, h.rows()};
  for (Index k = b.count() - 1; k >= 0; --k) {
    if (!factor_block(b.at(k, k), b.extent(k), b.n)) return false;
    parallel_for(k, [&](Index i) { solve_block(b.at(k, k), b.at(i, k), b.extent(i), b.extent(k), b.n); });
    parallel_for(k * (k + 1) / 2, block_product_bytes(b.size), [&](Index tile, std::byte* panels) {
      Index j = 0;  // tile = j (j + 1) / 2 + i,  i <= j
      while ((j + 1) * (j + 2) / 2 <= tile) ++j;
      const Index i = tile - j * (j + 1) / 2;
      cpu::gemm_serial(b.extent(i), b.extent(j), b.extent(k), -1.0, b.factor(i, k), b.factor(j, k, true), true,
                       b.at(i, j), b.n, panels);
    });
  }
  return true;
}

/// U = R^-1 in place of the upper triangle, zeros below. Row i of blocks needs no other row of U:
///   U_ij = -(U_ii R_ij + ... + U_i,j-1 R_j-1,j) U_jj
/// Until all are done U^T stands below the diagonal, and the blocks on it stand apart.
inline void invert_upper(View<double> r) {
  const SquareBlocks b{r.data, r.rows()};
  const Index size = b.size, count = b.count();
  std::vector<double> diagonal(static_cast<std::size_t>(count * size * size));
  const auto on_diagonal = [&](Index i) { return diagonal.data() + i * size * size; };
  parallel_for(count, [&](Index k) {  // x R_kk = e_i, row by row
    const double* const from = b.at(k, k);
    double* const to = on_diagonal(k);
    for (Index i = 0; i < b.extent(k); ++i) {
      to[i * size + i] = 1 / from[i * b.n + i];
      for (Index c = i + 1; c < b.extent(k); ++c) {
        double sum = 0;
        for (Index m = i; m < c; ++m) sum -= to[i * size + m] * from[m * b.n + c];
        to[i * size + c] = sum / from[c * b.n + c];
      }
    }
  });
  const std::size_t tile_bytes = static_cast<std::size_t>(2 * size * size) * sizeof(double);
  parallel_for(count, tile_bytes + block_product_bytes(b.n), [&](Index i, std::byte* memory) {
    double* const sum = reinterpret_cast<double*>(memory);
    double* const u = sum + size * size;
    std::byte* const panels = memory + tile_bytes;
    const Index rows = b.extent(i);
    for (Index j = i + 1; j < count; ++j) {
      const Index cols = b.extent(j);
      cpu::gemm_serial(rows, cols, rows, -1.0, {on_diagonal(i), size, false}, b.factor(i, j), false, sum, size, panels);
      if (j > i + 1)
        cpu::gemm_serial(rows, cols, (j - i - 1) * size, -1.0, b.factor(i + 1, i, true), b.factor(i + 1, j), true, sum,
                         size, panels);
      cpu::gemm_serial<double>(rows, cols, cols, 1.0, {sum, size, false}, {on_diagonal(j), size, false}, false, u, size,
                               panels);
      double* const below = b.at(j, i);
      for (Index row = 0; row < rows; ++row) {
        for (Index col = 0; col < cols; ++col) below[col * b.n + row] = u[row * size + col];
      }
    }
  });
  parallel_for(count, [&](Index i) {
    for (Index j = i; j < count; ++j) {
      double* const to = b.at(i, j);
      double* const below = b.at(j, i);
      for (Index row = 0; row < b.extent(i); ++row) {
        for (Index col = 0; col < b.extent(j); ++col) {
          to[row * b.n + col] = i == j ? on_diagonal(i)[row * size + col] : below[col * b.n + row];
          if (i != j) below[col * b.n + row] = 0;
        }
      }
    }
  });
}

}  // namespace detail

/// How a Hessian becomes one that has an inverse, and the order in which its columns are taken.
struct FactorOptions {
  double damping = 0.01;          ///< added to the diagonal, as a share of its mean
  bool activation_order = false;  ///< columns with the largest H_jj first

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("damping", self.damping, "added to the Hessian's diagonal, as a share of its mean", at_least(0));
    v("activation_order", self.activation_order, "the columns with the largest inputs first", any);
  }
  friend bool operator==(const FactorOptions&, const FactorOptions&) = default;
};

/// Of H with rows and columns in `order` (upper and order name columns alike: column k of `upper` is column order[k] of
/// H). An input that is always zero (dead) has 1 on H's diagonal.
struct InverseFactor {
  Tensor<double> upper;              ///< U, (in, in)
  std::vector<Index> order;          ///< 0, 1, 2, ... unless by activation
  std::vector<Index> dead;           ///< columns of H without input
  std::vector<Index> dead_places{};  ///< where they stand in `order`
  double damping = 0;  ///< the share that served: that of the options, or the first of its multiples by ten that did
};

namespace detail {

/// Order, dead columns, and the mean of H's diagonal; no `upper` yet. Errors: option_out_of_range, value_not_finite.
struct FactorPlan {
  InverseFactor factor;
  double mean = 0;

  FactorPlan(const std::vector<double>& diagonal, const FactorOptions& options) {
    check_options("inverse_factor", options);
    const auto n = static_cast<Index>(diagonal.size());
    for (Index j = 0; j < n; ++j) {
      const double entry = diagonal[static_cast<std::size_t>(j)];
      if (entry == 0) factor.dead.push_back(j);
      mean += entry == 0 ? 1 : entry;
      factor.order.push_back(j);
    }
    if (!std::isfinite(mean))
      throw Error(ErrorId::value_not_finite, "inverse_factor", "hessian", "finite numbers", "inf or NaN");
    mean /= static_cast<double>(n);
    const auto larger = [&](Index a, Index b) {
      const double x = diagonal[static_cast<std::size_t>(a)], y = diagonal[static_cast<std::size_t>(b)];
      return x > y || (x == y && a < b);
    };
    if (options.activation_order) std::sort(factor.order.begin(), factor.order.end(), larger);
    for (Index k = 0; k < n; ++k) {
      if (diagonal[static_cast<std::size_t>(factor.order[static_cast<std::size_t>(k)])] == 0)
        factor.dead_places.push_back(k);
    }
  }
  /// Calls factorise(damping) with more and more of it until it says that there is a factor.
  template <class Factorise>
  void damp_until(double damping, const Factorise& factorise) {
    for (; !factorise(damping); damping = std::max(10 * damping, 1e-8)) {
      if (damping > 1e6)
        throw Error(ErrorId::value_not_finite, "inverse_factor", "hessian", "a positive definite matrix once damped",
                    fmt::format("none with damping {}", damping));
    }
    factor.damping = damping;
  }
};

}  // namespace detail

/// H (in, in), symmetric. Damping grows tenfold until the factorisation succeeds. Errors: value_not_finite.
[[nodiscard]] inline InverseFactor inverse_factor(View<const double> hessian, const FactorOptions& options) {
  const Index n = hessian.rows();
  check_shape("inverse_factor", "hessian", hessian.shape, {n, n});
  std::vector<double> diagonal;
  for (Index j = 0; j < n; ++j) diagonal.push_back(hessian.data[j * n + j]);
  detail::FactorPlan plan(diagonal, options);
  plan.factor.upper = Tensor<double>(hessian.shape);
  const std::vector<Index>& order = plan.factor.order;
  const View<double> u = plan.factor.upper.view();
  plan.damp_until(options.damping, [&](double damping) {
    parallel_for(n, [&](Index i) {
      const Index row = order[static_cast<std::size_t>(i)];
      for (Index j = i; j < n; ++j) u.data[i * n + j] = hessian.data[row * n + order[static_cast<std::size_t>(j)]];
      const double entry = diagonal[static_cast<std::size_t>(row)];
      u.data[i * n + i] = (entry == 0 ? 1 : entry) + damping * plan.mean;
    });
    return detail::factor_from_the_end(u);
  });
  detail::invert_upper(u);
  return std::move(plan.factor);
}

}  // namespace binllm
