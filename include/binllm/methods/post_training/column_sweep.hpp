// SPDX-License-Identifier: MIT
/// The columns of a weight rounded one after the other, where those that are still to come make up for the error of
/// each as well as the Hessian allows (Frantar et al., GPTQ, arXiv 2210.17323; Hassibi and Stork's surgeon by columns):
///
///     e_j = (w_j - Q(w_j)) / U_jj,      w_k -= e_j U_jk   for k > j,      H^-1 = U^T U
///
/// Rows do not see each other, so a thread takes some of them through all columns. In a block of columns the errors are
/// made up for at once; the later ones hear of the whole block in one product.
#pragma once
#include <binllm/methods/post_training/inverse_factor.hpp>

#include <algorithm>

namespace binllm {

namespace detail {

/// The columns of one block in one row: w (count) becomes what they are rounded to, errors (count) the e_j; u (count,
/// count) is the block of U on the diagonal.
template <class Round>
void sweep_block(double* w, double* errors, const double* u, Index count, const Round& round) {
  for (Index j = 0; j < count; ++j) {
    const double* const u_j = u + j * count;
    const double q = round(j, w[j]);
    const double e = errors[j] = (w[j] - q) / u_j[j];
    w[j] = q;
    cpu::axpy(-e, u_j + j + 1, w + j + 1, count - j - 1);
  }
}

}  // namespace detail

/// Columns in the order of the factor. For each row i and each block [first, first + count) it calls
///   rows.begin(i, w)                          once, w the row before anything is rounded
///   rows.begin_block(i, first, count, w)      w: the row as it is now, all columns
///   rows.round(i, k, x)                       what x in column k is rounded to
///   rows.end(i)                               once
/// with w and k in the factor's order. Rows come in any order, on several threads, each on one.
/// Dead columns begin as 0. w (out, in).
template <class Rows>
void sweep_columns(View<const float> w, const InverseFactor& factor, Index block, Rows& rows) {
  const Index out = w.rows(), in = w.cols();
  const Index height = out >= 2048 ? 128 : out >= 512 ? 64 : 16;
  const Index width = std::min(block, in);
  const View<const double> u = factor.upper.view();
  const auto elements_of = [](Index count) { return static_cast<std::size_t>(count) * sizeof(double); };
  parallel_for((out + height - 1) / height,
               elements_of(height * (in + width) + width * width) + cpu::gemm_bytes<double>(height, in, width),
               [&](Index tile, std::byte* memory) {
                 double* const v = reinterpret_cast<double*>(memory);
                 double* const errors = v + height * in;
                 double* const on_diagonal = errors + height * width;
                 std::byte* const panels = memory + elements_of(height * (in + width) + width * width);
                 const Index top = tile * height, count = std::min(height, out - top);
                 for (Index i = 0; i < count; ++i) {
                   const float* const from = w.data + (top + i) * in;
                   double* const row = v + i * in;
                   for (Index k = 0; k < in; ++k)
                     row[k] = static_cast<double>(from[factor.order[static_cast<std::size_t>(k)]]);
                   rows.begin(top + i, row);
                   for (const Index k : factor.dead_places) row[k] = 0;
                 }
                 for (Index first = 0; first < in; first += width) {
                   const Index deep = std::min(width, in - first), next = first + deep;
                   const double* const u_first = u.data + first * in;
                   for (Index j = 0; j < deep; ++j) std::copy_n(u_first + j * in + first, deep, on_diagonal + j * deep);
                   for (Index i = 0; i < count; ++i) {
                     double* const row = v + i * in;
                     rows.begin_block(top + i, first, deep, row);
                     detail::sweep_block(row + first, errors + i * width, on_diagonal, deep,
                                         [&](Index j, double x) { return rows.round(top + i, first + j, x); });
                   }
                   if (next < in)
                     cpu::gemm_serial<double>(count, in - next, deep, -1.0, {errors, width, false},
                                              {u_first + next, in, false}, true, v + next, in, panels);
                 }
                 for (Index i = 0; i < count; ++i) rows.end(top + i);
               });
}

}  // namespace binllm
