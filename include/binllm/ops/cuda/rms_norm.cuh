// SPDX-License-Identifier: MIT
/// RMSNorm on a GPU: one pass over x forward, one over x and dy backward. Definition: GenericKernel<RmsNorm> in
/// ops/rms_norm.hpp. Backward lets a number of blocks, which depends on the shape alone, walk over rows and keep their
/// part of dw; a second kernel adds up the parts in fixed order.
#pragma once
#include <binllm/core/view.hpp>
#include <binllm/device/cuda.hpp>
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>

#include <cmath>

namespace binllm::cuda {

namespace detail {

/// Neighbours that a thread moves by one access.
template <class T>
inline constexpr int norm_lanes = 16 / static_cast<int>(sizeof(T));
inline constexpr int norm_forward_held = 4, norm_backward_held = 1;  // accesses of a thread whose values it keeps

template <class T, int n>
__global__ void __launch_bounds__(1024) rms_norm_forward_kernel(const T* x, const master_t<T>* w, master_t<T> epsilon,
                                                                master_t<T>* inverse, T* y, Index rows, int parts) {
  using M = master_t<T>;
  constexpr int held = norm_forward_held;
  Arriving<T, n> kept[held], following[held];
  const auto fetch = [&](Index row) {
#pragma unroll
    for (int k = 0; k < held; ++k) {
      const int part = threadIdx.x + k * blockDim.x;
      if (row < rows && part < parts) following[k] = load_later<n>(x + (row * parts + part) * n);
    }
  };
  fetch(first_row());
  for (Index row = first_row(); row < rows; row += row_step()) {
    const Index begin = row * parts * n;
#pragma unroll
    for (int k = 0; k < held; ++k) kept[k] = following[k];
    fetch(row + row_step());  // while this row is computed
    const auto each = [&](const auto& body) {
#pragma unroll
      for (int k = 0; k < held; ++k) {
        const int part = threadIdx.x + k * blockDim.x;
        if (part < parts) body(widened(kept[k].lanes()), Index(part) * n);
      }
      for (int part = threadIdx.x + held * blockDim.x; part < parts; part += blockDim.x)
        body(widened(load<n>(x + begin + Index(part) * n)), Index(part) * n);
    };
    M sum[1] = {M(0)};
    each([&](const Lanes<M, n>& lanes, Index) {
      for (int i = 0; i < n; ++i) sum[0] += lanes.lane[i] * lanes.lane[i];
    });
    row_sum(sum);
    const M factor = M(1) / std::sqrt(sum[0] / static_cast<M>(Index(parts) * n) + epsilon);
    if (threadIdx.x == 0) inverse[row] = factor;
    each([&](const Lanes<M, n>& lanes, Index first) {
      const Lanes<M, n> weight = load<n>(w + first);
      Lanes<M, n> out;
      for (int i = 0; i < n; ++i) out.lane[i] = lanes.lane[i] * weight.lane[i] * factor;
      store(y + begin + first, rounded<T>(out));
    });
  }
}

/// Threads own columns: those of the first `held` accesses add their part of dw in registers, others in `partial`,
/// a row of which belongs to each block.
template <class T, int n>
__global__ void __launch_bounds__(1024)
    rms_norm_backward_kernel(const T* x, const master_t<T>* w, const master_t<T>* inverse, const T* dy,
                             master_t<T>* partial, T* dx, bool accumulate, Index rows, int parts) {
  using M = master_t<T>;
  constexpr int held = norm_backward_held;
  const M cols = static_cast<M>(Index(parts) * n);
  Lanes<M, n> sums[held];
  for (int k = 0; k < held; ++k) {
    for (int i = 0; i < n; ++i) sums[k].lane[i] = M(0);
  }
  if (partial != nullptr) {
    partial += blockIdx.x * Index(parts) * n;
    for (int part = threadIdx.x + held * blockDim.x; part < parts; part += blockDim.x)
      store(partial + Index(part) * n, sums[0]);
  }
  Arriving<T, n> x_kept[held], dy_kept[held], x_next[held], dy_next[held], dx_kept[held];
  const auto fetch = [&](Index row) {
#pragma unroll
    for (int k = 0; k < held; ++k) {
      const int part = threadIdx.x + k * blockDim.x;
      if (row >= rows || part >= parts) continue;
      x_next[k] = load_later<n>(x + (row * parts + part) * n);
      dy_next[k] = load_later<n>(dy + (row * parts + part) * n);
    }
  };
  fetch(blockIdx.x);
  for (Index row = blockIdx.x; row < rows; row += gridDim.x) {
    const Index begin = row * parts * n;
#pragma unroll
    for (int k = 0; k < held; ++k) x_kept[k] = x_next[k], dy_kept[k] = dy_next[k];
#pragma unroll
    for (int k = 0; k < held; ++k) {
      const int part = threadIdx.x + k * blockDim.x;
      if (accumulate && part < parts) dx_kept[k] = load_later<n>(dx + begin + Index(part) * n);
    }
    fetch(row + gridDim.x);  // while this row is added up
    const auto each = [&](const auto& body) {
#pragma unroll
      for (int k = 0; k < held; ++k) {
        const int part = threadIdx.x + k * blockDim.x;
        if (part < parts) body(widened(x_kept[k].lanes()), widened(dy_kept[k].lanes()), Index(part) * n, k);
      }
      for (int part = threadIdx.x + held * blockDim.x; part < parts; part += blockDim.x) {
        const Index first = Index(part) * n;
        body(widened(load<n>(x + begin + first)), widened(load<n>(dy + begin + first)), first, held);
      }
    };
    const M factor = inverse[row];
    M inner[1] = {M(0)};
    if (dx != nullptr) {
      each([&](const Lanes<M, n>& a, const Lanes<M, n>& g, Index first, int) {
        const Lanes<M, n> weight = load<n>(w + first);
        for (int i = 0; i < n; ++i) inner[0] += a.lane[i] * weight.lane[i] * g.lane[i];
      });
      row_sum(inner);
    }
    const M along = factor * factor * inner[0] / cols;
    each([&](const Lanes<M, n>& a, const Lanes<M, n>& g, Index first, int k) {
      if (dx != nullptr) {
        const Lanes<M, n> weight = load<n>(w + first);
        Lanes<M, n> out;
        for (int i = 0; i < n; ++i) out.lane[i] = factor * (weight.lane[i] * g.lane[i] - a.lane[i] * along);
        if (accumulate) {
          const Lanes<M, n> before = widened(k < held ? dx_kept[k].lanes() : load<n>(dx + begin + first));
          for (int i = 0; i < n; ++i) out.lane[i] += before.lane[i];
        }
        store(dx + begin + first, rounded<T>(out));
      }
      if (partial == nullptr) return;
      if (k < held) {
        for (int i = 0; i < n; ++i) sums[k].lane[i] += g.lane[i] * a.lane[i] * factor;
      } else {
        Lanes<M, n> sum = load<n>(partial + first);
        for (int i = 0; i < n; ++i) sum.lane[i] += g.lane[i] * a.lane[i] * factor;
        store(partial + first, sum);
      }
    });
  }
  if (partial == nullptr) return;
#pragma unroll
  for (int k = 0; k < held; ++k) {
    const int part = threadIdx.x + k * blockDim.x;
    if (part < parts) store(partial + Index(part) * n, sums[k]);
  }
}

/// Blocks of backward: enough rows at a time to keep a large device busy, few enough that their parts of dw are small
/// beside x.
struct NormBlocks {
  unsigned blocks, threads;
};
[[nodiscard]] inline NormBlocks norm_blocks(Index rows, Index parts) {
  constexpr Index processors = 132;
  const Index wanted = (parts + norm_backward_held - 1) / norm_backward_held;
  const Index threads = std::clamp<Index>((wanted + 31) / 32 * 32, 32, 1024);
  const Index blocks = std::min(rows, processors * std::clamp<Index>(1024 / threads, 1, 8));
  return {static_cast<unsigned>(blocks), static_cast<unsigned>(threads)};
}
template <class T>
[[nodiscard]] int norm_lanes_of(Index cols, const T* a, const T* b, const T* c, const master_t<T>* w) {
  constexpr int n = norm_lanes<T>;
  const bool wide = lies_in_lanes<n>(a, cols) && lies_in_lanes<n>(b, cols) && lies_in_lanes<n>(c, cols);
  return wide && lies_in_lanes<n>(w, cols) ? n : 1;
}

}  // namespace detail

/// y = w x i and i of each row.
template <class T>
void rms_norm_forward(View<const T, Cuda> x, View<const master_t<T>, Cuda> w, master_t<T> epsilon,
                      View<master_t<T>, Cuda> inverse, View<T, Cuda> y) {
  if (x.size() == 0) return;
  const auto run = [&](auto lanes) {
    const int parts = static_cast<int>(x.cols() / lanes);
    const auto [grid, block] = resident_grid(x.rows(), parts, detail::norm_forward_held, 1024);
    launch("rms_norm_forward", detail::rms_norm_forward_kernel<T, lanes>, grid, block, 0, x.data, w.data, epsilon,
           inverse.data, y.data, x.rows(), parts);
  };
  const bool wide = detail::norm_lanes_of<T>(x.cols(), x.data, y.data, nullptr, w.data) > 1;
  wide ? run(std::integral_constant<int, detail::norm_lanes<T>>{}) : run(std::integral_constant<int, 1>{});
}

/// Elements of master_t<T> of working memory for backward.
template <class T>
[[nodiscard]] Index rms_norm_workspace(const Shape& x) {
  const Index narrow = detail::norm_blocks(x.rows(), x.cols()).blocks;
  const Index wide = detail::norm_blocks(x.rows(), x.cols() / detail::norm_lanes<T>).blocks;
  return (std::max(narrow, wide) * x.cols() + 3) / 4 * 4;
}

/// dx of T (assigned, or added to it), and dw (added to it); an empty one is not wanted. `memory`: see above, aligned
/// to 16 bytes.
template <class T>
void rms_norm_backward(View<const T, Cuda> x, View<const master_t<T>, Cuda> w, View<const master_t<T>, Cuda> inverse,
                       View<const T, Cuda> dy, master_t<T>* memory, View<T, Cuda> dx, bool accumulate_dx,
                       View<master_t<T>, Cuda> dw) {
  using M = master_t<T>;
  if (x.size() == 0 || (!dx && !dw)) return;
  const Index rows = x.rows(), cols = x.cols();
  M* const partial = dw ? memory : nullptr;
  unsigned blocks = 0;
  const auto run = [&](auto lanes) {
    const int parts = static_cast<int>(cols / lanes);
    const auto cut = detail::norm_blocks(rows, parts);
    blocks = cut.blocks;
    launch("rms_norm_backward", detail::rms_norm_backward_kernel<T, lanes>, dim3(cut.blocks), dim3(cut.threads), 0,
           x.data, w.data, inverse.data, dy.data, partial, dx.data, accumulate_dx && dx, rows, parts);
  };
  const bool wide = detail::norm_lanes_of<T>(cols, x.data, dy.data, dx.data, w.data) > 1;
  wide ? run(std::integral_constant<int, detail::norm_lanes<T>>{}) : run(std::integral_constant<int, 1>{});
  if (dw) add_parts("rms_norm_backward", partial, Index(blocks), cols, dw.data);
}

}  // namespace binllm::cuda

namespace binllm::cuda {

template <>
struct Implementation<RmsNorm> {
  static Index workspace(const Shape& x) {
    return std::max({rms_norm_workspace<bf16>(x), rms_norm_workspace<float>(x), rms_norm_workspace<double>(x)});
  }
  template <class T>
  static void forward(View<const T, Cuda> x, View<const master_t<T>, Cuda> w, master_t<T> epsilon,
                      View<master_t<T>, Cuda> inverse, View<T, Cuda> y) {
    rms_norm_forward<T>(x, w, epsilon, inverse, y);
  }
  template <class T>
  static void backward(View<const T, Cuda> x, View<const master_t<T>, Cuda> w, View<const master_t<T>, Cuda> inverse,
                       View<const T, Cuda> dy, View<master_t<T>, Cuda> memory, Gradient<T, Cuda> dx,
                       View<master_t<T>, Cuda> dw) {
    rms_norm_backward<T>(x, w, inverse, dy, memory.data, dx.view, !dx.fresh, dw);
  }
};

}  // namespace binllm::cuda
