// SPDX-License-Identifier: MIT
/// Hessians on a GPU: the factor of the inverse by cuSOLVER, which the first one loads, and the sweep over columns whose
/// weights are rounded to grids. All in double, in the orders of inverse_factor.hpp, column_sweep.hpp and gptq.hpp. nvcc
/// only.
#pragma once
#include <binllm/device/cuda/kernel.hpp>
#include <binllm/device/cuda/late_library.hpp>
#include <binllm/device/host.hpp>
#include <binllm/methods/post_training/cuda/hessian.hpp>
#include <binllm/methods/post_training/grid_fit.hpp>

#include <cusolverDn.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

namespace binllm::cuda {

/// What is used of cuSOLVER.
struct Cusolver {
  LateLibrary library{"hessian", fmt::format("libcusolver.so.{}", CUSOLVER_VER_MAJOR)};
  decltype(&cusolverDnCreate) create = library["cusolverDnCreate"];
  decltype(&cusolverDnSetStream) set_stream = library["cusolverDnSetStream"];
  decltype(&cusolverDnDpotrf_bufferSize) potrf_memory = library["cusolverDnDpotrf_bufferSize"];
  decltype(&cusolverDnDpotrf) potrf = library["cusolverDnDpotrf"];
  decltype(&cusolverDnXtrtri_bufferSize) trtri_memory = library["cusolverDnXtrtri_bufferSize"];
  decltype(&cusolverDnXtrtri) trtri = library["cusolverDnXtrtri"];
};
/// Errors: device_missing where the library is not to be found.
[[nodiscard]] inline const Cusolver& cusolver() {
  static const Cusolver functions;
  return functions;
}

inline void check(cusolverStatus_t status, std::string_view operation) {
  if (status != CUSOLVER_STATUS_SUCCESS)
    throw Error(ErrorId::device_failed, operation, "cusolver", "success", fmt::format("{}", static_cast<int>(status)));
}
template <class = void>
struct Solver {
  inline static cusolverDnHandle_t handle = nullptr;
  [[nodiscard]] static cusolverDnHandle_t get() {
    if (handle == nullptr) {
      check(cusolver().create(&handle), "cusolver");
      check(cusolver().set_stream(handle, stream()), "cusolver");
    }
    return handle;
  }
};

// ---- U = R^-1, H = R R^T: with the order of rows and columns turned round, H = L L^T, which cuSOLVER factorises

[[nodiscard]] inline dim3 tiles(Index rows, Index cols) {
  return {static_cast<unsigned>((cols + 31) / 32), static_cast<unsigned>((rows + 7) / 8)};
}
inline constexpr unsigned tile_width = 32, tile_height = 8;
__device__ inline Index tile_row() { return Index{blockIdx.y} * tile_height + threadIdx.y; }
__device__ inline Index tile_col() { return Index{blockIdx.x} * tile_width + threadIdx.x; }

/// a_ij = H of the order turned round, damped.
static __global__ void turned_hessian(const double* h, const Index* order, Index n, double factor, double damping,
                                      double* a) {
  const Index i = tile_row(), j = tile_col();
  if (i >= n || j >= n) return;
  const Index row = order[n - 1 - i], col = order[n - 1 - j];
  const double value = factor * h[row * n + col];
  a[i * n + j] = i != j ? value : (value == 0 ? 1 : value) + damping;
}
/// U from L^-1 as cuSOLVER leaves it: columns one after the other.
static __global__ void turned_back(const double* l, Index n, double* u) {
  const Index i = tile_row(), j = tile_col();
  if (i < n && j < n) u[i * n + j] = i <= j ? l[(n - 1 - j) * n + (n - 1 - i)] : 0;
}
static __global__ void scaled_diagonal(const double* h, Index n, double factor, double* diagonal) {
  const Index j = Index{blockIdx.x} * blockDim.x + threadIdx.x;
  if (j < n) diagonal[j] = factor * h[j * n + j];
}

/// Whether a (n, n) is positive definite; then it becomes L^-1.
[[nodiscard]] inline bool invert_factor(View<double, Cuda> a) {
  const auto n = static_cast<int>(a.rows());
  const auto handle = Solver<>::get();
  Tensor<std::int32_t, Cuda> info(Shape{1});
  int elements = 0;
  check(cusolver().potrf_memory(handle, CUBLAS_FILL_MODE_LOWER, n, a.data, n, &elements), "potrf");
  {
    Tensor<double, Cuda> memory(Shape{std::max(elements, 1)});
    check(
        cusolver().potrf(handle, CUBLAS_FILL_MODE_LOWER, n, a.data, n, memory.view().data, elements, info.view().data),
        "potrf");
  }
  if (scalar_on_host(info.view()) != 0) return false;
  std::size_t on_device = 0, on_host = 0;
  check(cusolver().trtri_memory(handle, CUBLAS_FILL_MODE_LOWER, CUBLAS_DIAG_NON_UNIT, n, CUDA_R_64F, a.data, n,
                                &on_device, &on_host),
        "trtri");
  Tensor<std::uint8_t, Cuda> memory(Shape{std::max<Index>(static_cast<Index>(on_device), 1)});
  std::vector<std::byte> host_memory(on_host);
  check(cusolver().trtri(handle, CUBLAS_FILL_MODE_LOWER, CUBLAS_DIAG_NON_UNIT, n, CUDA_R_64F, a.data, n,
                         memory.view().data, on_device, host_memory.data(), on_host, info.view().data),
        "trtri");
  return scalar_on_host(info.view()) == 0;
}

// ---- the sweep; v (in, out) holds the weights, a column of W a row

/// The grids of all rows, (groups, out) each.
struct GridTable {
  int levels;
  bool means;
  Index size, cols, out;  ///< of a group; of W
  float *scale, *zero, *mean;
};
static __global__ void columns_of(const float* w, const Index* order, Index out, Index in, double* v) {
  const Index k = tile_row(), i = tile_col();
  if (k < in && i < out) v[k * out + i] = static_cast<double>(w[i * in + order[k]]);
}
static __global__ void zero_rows(const Index* rows, Index count, Index out, double* v) {
  const Index k = tile_row(), i = tile_col();
  if (k < count && i < out) v[rows[k] * out + i] = 0;
}
/// GridLine::fit for each row of W in groups [first, first + gridDim.y); place[j] is where column j stands in v.
static __global__ void fit_grids(const double* v, const Index* place, Index first, GridTable grid) {
  const Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x, g = first + blockIdx.y;
  if (i >= grid.out) return;
  const Index begin = g * grid.size, end = begin + grid.size < grid.cols ? begin + grid.size : grid.cols;
  double low = 0, high = 0, sum = 0, mean = 0;
  const auto count = static_cast<double>(end - begin);
  if (grid.levels == 2 && grid.means) {
    for (Index j = begin; j < end; ++j) mean += v[place[j] * grid.out + i];
    mean /= count;
  }
  for (Index j = begin; j < end; ++j) {
    const double x = v[place[j] * grid.out + i];
    low = fmin(low, x);
    high = fmax(high, x);
    sum += fabs(x - mean);
  }
  const Index at = g * grid.out + i;
  grid.mean[at] = static_cast<float>(mean);
  if (grid.levels <= 3) {
    grid.scale[at] = static_cast<float>(sum / count) * (grid.levels == 2 ? 2.0F : 1.0F);
    grid.zero[at] = static_cast<float>(grid.levels - 1) / 2;
    return;
  }
  if (low == 0 && high == 0) low = -1, high = 1;
  const double step = (high - low) / (grid.levels - 1);
  grid.scale[at] = static_cast<float>(step);
  grid.zero[at] = static_cast<float>(fmin(fmax(rint(-low / step), 0.0), grid.levels - 1.0));
}

inline constexpr Index sweep_rows = 32, sweep_columns_most = 128, sweep_threads = 8;
/// Shared memory of a block of the kernel below.
[[nodiscard]] constexpr std::size_t sweep_bytes(Index deep) {
  return static_cast<std::size_t>(deep * (sweep_rows + deep) + sweep_rows) * sizeof(double);
}
/// Columns [first, first + deep) of 32 rows of W: codes (in, out) in W's own order, and -e_j in `errors` (deep, out).
static __global__ void sweep_block(const double* v, const double* u, const Index* order, Index in, Index first,
                                   Index deep, GridTable grid, std::uint8_t* codes, double* errors) {
  extern __shared__ double shared[];
  double* const w = shared;                       // (deep, 32)
  double* const u_block = w + deep * sweep_rows;  // (deep, deep)
  double* const error = u_block + deep * deep;    // (32)
  const Index lane = threadIdx.x, part = threadIdx.y, i = Index{blockIdx.x} * sweep_rows + lane;
  const bool there = i < grid.out;
  for (Index k = part; k < deep; k += sweep_threads)
    w[k * sweep_rows + lane] = there ? v[(first + k) * grid.out + i] : 0;
  for (Index k = part * sweep_rows + lane; k < deep * deep; k += sweep_rows * sweep_threads)
    u_block[k] = u[(first + k / deep) * in + first + k % deep];
  if (part == 0) error[lane] = 0;  // of rows that are not there
  for (Index j = 0; j < deep; ++j) {
    __syncthreads();
    if (part == 0 && there) {
      const double x = w[j * sweep_rows + lane];
      const Index column = order[first + j], at = column / grid.size * grid.out + i;
      const auto scale = static_cast<double>(grid.scale[at]), zero = static_cast<double>(grid.zero[at]),
                 mean = static_cast<double>(grid.mean[at]);
      double code = 0;
      if (grid.levels == 2) {
        code = x >= mean ? 1 : 0;
      } else {
        code = scale == 0 ? zero : fmin(fmax(rint(x / scale) + zero, 0.0), grid.levels - 1.0);
      }
      const double e = (x - (scale * (code - zero) + mean)) / u_block[j * deep + j];
      codes[column * grid.out + i] = static_cast<std::uint8_t>(code);
      errors[j * grid.out + i] = -e;
      error[lane] = e;
    }
    __syncthreads();
    const double e = error[lane];
    for (Index k = j + 1 + part; k < deep; k += sweep_threads) w[k * sweep_rows + lane] -= e * u_block[j * deep + k];
  }
}

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
