// SPDX-License-Identifier: MIT
/// Hessians on a GPU, in double: the factor of the inverse (inverse_factor.cuh), the sweep over columns whose weights are
/// rounded to grids (column_sweep.cuh). nvcc only.
#pragma once
#include <binllm/methods/post_training/cuda/column_sweep.cuh>
#include <binllm/methods/post_training/cuda/hessian.hpp>
#include <binllm/methods/post_training/cuda/inverse_factor.cuh>
#include <binllm/methods/post_training/grid_fit.hpp>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace binllm::cuda {

/// d = w - q, in double.
static __global__ void differences(const float* w, const float* q, Index count, double* d) {
  const Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) d[i] = static_cast<double>(w[i]) - static_cast<double>(q[i]);
}
struct Product2 {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
    return a * b;
  }
};

template <class X>
[[nodiscard]] Tensor<X, Cuda> on_gpu(const X* values, Shape shape) {
  Tensor<X, Cuda> there(shape);
  Backend<Cuda>::copy(there.view().data, values, static_cast<std::size_t>(there.size()) * sizeof(X));
  return there;
}
[[nodiscard]] inline Tensor<Index, Cuda> on_gpu(const std::vector<Index>& list) {
  return on_gpu(list.data(), Shape{static_cast<Index>(list.size())});
}
[[nodiscard]] inline unsigned in_blocks(Index count, Index size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

class GpuHessian final : public DeviceHessian {
 public:
  GpuHessian(Tensor<double, Cuda>&& sum, double factor)
      : sum_(std::move(sum)), factor_(factor), n_(sum_.shape().cols()), diagonal_(static_cast<std::size_t>(n_)) {
    Tensor<double, Cuda> there(Shape{n_});
    launch("hessian", scaled_diagonal, dim3(in_blocks(n_, 256)), dim3(256), 0, std::as_const(sum_).view().data, n_,
           factor_, there.view().data);
    Backend<Cuda>::copy(diagonal_.data(), there.view().data, diagonal_.size() * sizeof(double));
    Backend<Cuda>::synchronise();
  }
  const std::vector<double>& diagonal() const override { return diagonal_; }
  Tensor<double> values() const override {
    Tensor<double> h = host_copy(sum_.view());
    h.view().flat() *= factor_;
    return h;
  }
  InverseFactor inverse_factor(const FactorOptions& options, bool upper) override {
    binllm::detail::FactorPlan plan(diagonal_, options);
    order_ = plan.factor.order;
    dead_places_ = plan.factor.dead_places;
    const Tensor<Index, Cuda> order = on_gpu(order_);
    Tensor<double, Cuda> a(Shape{n_, n_});
    plan.damp_until(options.damping, [&](double damping) {
      launch("hessian", turned_hessian, tiles(n_, n_), dim3(tile_width, tile_height), 0,
             std::as_const(sum_).view().data, order.view().data, n_, factor_, damping * plan.mean, a.view().data);
      return invert_factor(a.view());
    });
    if (!upper_) upper_ = Tensor<double, Cuda>(Shape{n_, n_});
    launch("hessian", turned_back, tiles(n_, n_), dim3(tile_width, tile_height), 0, std::as_const(a).view().data, n_,
           upper_.view().data);
    if (upper) plan.factor.upper = host_copy(std::as_const(upper_).view());
    Backend<Cuda>::synchronise();
    return std::move(plan.factor);
  }
  double quadratic(View<const float> w, View<const float> q) const override {
    constexpr Index most = 1024;
    double sum = 0;
    for (Index first = 0; first < w.rows(); first += most) {
      const Index rows = std::min(most, w.rows() - first), count = rows * n_;
      const auto w_there = on_gpu(w.middle_rows(first, rows).data, Shape{rows, n_}),
                 q_there = on_gpu(q.middle_rows(first, rows).data, Shape{rows, n_});
      Tensor<double, Cuda> d(Shape{rows, n_}), product(Shape{rows, n_}), sums(Shape{rows});
      launch("quadratic", differences, dim3(in_blocks(count, 256)), dim3(256), 0, w_there.view().data,
             q_there.view().data, count, d.view().data);
      Backend<Cuda>::gemm(Product::nn, read(d.view()), std::as_const(sum_).view(), product.view());
      Backend<Cuda>::row_reduce<Sum>(sums.view(), n_, Product2{}, elements(read(d.view())),
                                     elements(read(product.view())));
      sum += host_copy(read(sums.view())).view().flat().sum();
    }
    return factor_ * sum;
  }
  void sweep_grids(View<const float> w, Index block, bool fixed_grids, Grid::Matrix<float, Cpu>& to) override {
    const Index out = w.rows(), groups = to.scale.shape().cols(), size = to.form.group_size(n_);
    Index width = std::min({block, n_, sweep_columns_most});
    while (sweep_bytes(width) > static_cast<std::size_t>(state().shared_bytes)) width /= 2;
    const bool fixed = fixed_grids || size == n_;
    const Tensor<Index, Cuda> order = on_gpu(order_);
    std::vector<Index> places(order_.size());
    for (std::size_t k = 0; k < order_.size(); ++k) places[static_cast<std::size_t>(order_[k])] = static_cast<Index>(k);
    const Tensor<Index, Cuda> place = on_gpu(places);
    Tensor<double, Cuda> v(Shape{n_, out}), errors(Shape{width, out});
    {
      const Tensor<float, Cuda> there = on_gpu(w.data, w.shape);
      launch("gptq", columns_of, tiles(n_, out), dim3(tile_width, tile_height), 0, there.view().data, order.view().data,
             out, n_, v.view().data);
    }
    Tensor<float, Cuda> scale(Shape{groups, out}), zero(Shape{groups, out}), mean(Shape{groups, out});
    Tensor<std::uint8_t, Cuda> codes(Shape{n_, out});
    const GridTable grid{to.form.levels,   to.form.means,   size, n_, out, scale.view().data,
                         zero.view().data, mean.view().data};
    const auto fit = [&](Index first, Index count) {
      if (count > 0)
        launch("gptq", fit_grids, dim3(in_blocks(out, 64), static_cast<unsigned>(count)), dim3(64), 0,
               std::as_const(v).view().data, place.view().data, first, grid);
    };
    if (fixed) fit(0, groups);
    if (!dead_places_.empty()) {
      const Tensor<Index, Cuda> dead = on_gpu(dead_places_);
      launch("gptq", zero_rows, tiles(dead.size(), out), dim3(tile_width, tile_height), 0, dead.view().data,
             dead.size(), out, v.view().data);
    }
    for (Index first = 0; first < n_; first += width) {
      const Index deep = std::min(width, n_ - first);
      if (!fixed) {
        const Index begin = (first + size - 1) / size;
        fit(begin, (std::min(first + deep, n_) + size - 1) / size - begin);
      }
      launch("gptq", sweep_block, dim3(in_blocks(out, sweep_rows)),
             dim3(static_cast<unsigned>(sweep_rows), static_cast<unsigned>(sweep_threads)), sweep_bytes(deep),
             std::as_const(v).view().data, std::as_const(upper_).view().data, order.view().data, n_, first, deep, grid,
             codes.view().data, errors.view().data);
      // U is zero before its diagonal, and what is added to columns that are done is not read again.
      if (first + deep < n_)
        Backend<Cuda>::gemm(Product::tn, read(upper_.view()).middle_rows(first, deep),
                            read(errors.view()).middle_rows(0, deep), v.view(), Write::accumulate);
    }
    write(codes, scale, zero, mean, to);
  }

 private:
  template <class X>
  [[nodiscard]] static Tensor<std::remove_const_t<X>> host_copy(View<X, Cuda> from) {
    Tensor<std::remove_const_t<X>> copy(from.shape);
    Backend<Cuda>::copy(copy.view().data, from.data, static_cast<std::size_t>(from.size()) * sizeof(X));
    Backend<Cuda>::synchronise();
    return copy;
  }
  static void write(const Tensor<std::uint8_t, Cuda>& codes, const Tensor<float, Cuda>& scale,
                    const Tensor<float, Cuda>& zero, const Tensor<float, Cuda>& mean, Grid::Matrix<float, Cpu>& to) {
    const auto c = host_copy(codes.view());
    const auto s = host_copy(scale.view()), z = host_copy(zero.view()), m = host_copy(mean.view());
    const Index in = c.shape()[0], out = c.shape()[1], groups = s.shape()[0], height = 64;
    parallel_for((out + height - 1) / height, static_cast<std::size_t>(height * in),
                 [&](Index tile, std::byte* memory) {
                   auto* const rows = reinterpret_cast<std::uint8_t*>(memory);
                   const Index top = tile * height, count = std::min(height, out - top);
                   for (Index j = 0; j < in; ++j) {
                     for (Index i = 0; i < count; ++i) rows[i * in + j] = c.view().data[j * out + top + i];
                   }
                   for (Index i = 0; i < count; ++i) {
                     to.set_codes(top + i, {rows + i * in, static_cast<std::size_t>(in)});
                     for (Index g = 0; g < groups; ++g) {
                       const Index at = g * out + top + i;
                       to.set_line(top + i, g, {s.view().data[at], z.view().data[at], m.view().data[at]});
                     }
                   }
                 });
  }

  Tensor<double, Cuda> sum_, upper_;
  double factor_;
  Index n_;
  std::vector<double> diagonal_;
  std::vector<Index> order_, dead_places_;
};

template <class Unused>
std::unique_ptr<DeviceHessian> Hessians<Unused>::make(Tensor<double, Cuda>&& sum, double factor) {
  return std::make_unique<GpuHessian>(std::move(sum), factor);
}

}  // namespace binllm::cuda
