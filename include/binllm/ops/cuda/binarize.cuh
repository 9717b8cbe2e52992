// SPDX-License-Identifier: MIT
/// The binarising op on a GPU where the weights of a scale group lie side by side (a row, or a part of one). A group is
/// read from memory once and kept in registers; what is longer than these hold is read again. Definition:
/// GenericKernel<Binarize> in ops/binarize.hpp.
/// Cost     bytes of a weight of T = bf16: forward 6 (w 4, W_b 2), backward 14 (w 4, g 2, dW 8).
#pragma once
#include <binllm/device/cuda.hpp>
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>

namespace binllm::cuda {

namespace detail {

// Of a thread, in registers; backward keeps three numbers of each. The next row's are on their way meanwhile.
inline constexpr int forward_weights = 16, backward_weights = 8;
template <class M>
inline constexpr int binarize_threads = sizeof(M) > 4 ? 512 : 1024;

/// What all groups have in common.
template <class E>
struct BinarizeArguments {
  using M = typename E::value_type;
  E estimator;
  bool analytic, learned, attached;
  const M* w;
  const M* scale;   // S_l, where it enters
  const double* t;  // on the device
  Index groups;
  int parts;  // of n weights each, in a group
};

/// One scale group, whose mean of |W| is known.
template <class E, class M = typename E::value_type>
[[nodiscard]] __device__ inline ScaleGroup<M> group_of(const BinarizeArguments<E>& common, Index group, M mean) {
  const M s_l = common.learned ? common.scale[group] : M(1);
  return common.analytic ? scale_group(mean, s_l) : scale_group(s_l, M(1));
}

/// What a thread holds of a row: `held` parts of n numbers, blockDim.x parts apart.
template <class T, int n, int held>
struct RowPart {
  Arriving<T, n> part[held];

  __device__ void fetch(const T* row, int parts) {
#pragma unroll
    for (int k = 0; k < held; ++k) {
      const int at = threadIdx.x + k * blockDim.x;
      if (at < parts) part[k] = load_once<n>(row + Index(at) * n);
    }
  }
};

/// Calls body(weights, first weight, k) for a thread's parts of a row: k is the register's number, or held for those
/// that stayed in memory.
template <class M, int n, int held, class Body>
__device__ inline void each_part(const RowPart<M, n, held>& kept, const M* row, int parts, const Body& body) {
#pragma unroll
  for (int k = 0; k < held; ++k) {
    const int at = threadIdx.x + k * blockDim.x;
    if (at < parts) body(kept.part[k].lanes(), Index(at) * n, k);
  }
  for (int at = threadIdx.x + held * blockDim.x; at < parts; at += blockDim.x)
    body(load<n>(row + Index(at) * n), Index(at) * n, held);
}
template <class M, int n, int held>
[[nodiscard]] __device__ inline M mean_magnitude(const RowPart<M, n, held>& kept, const M* row, int parts) {
  const M weight = M(1) / static_cast<M>(Index(parts) * n);
  M sum[1] = {M(0)};
  each_part(kept, row, parts, [&](const Lanes<M, n>& x, Index, int) {
    for (int i = 0; i < n; ++i) sum[0] += weight * formula::abs(x.lane[i]);
  });
  row_sum(sum);
  return sum[0];
}

template <class T, class E, int n>
__global__ void __launch_bounds__(binarize_threads<master_t<T>>)
    binarize_forward_kernel(BinarizeArguments<E> common, T* wb) {
  using M = master_t<T>;
  constexpr int held = forward_weights / n;
  const auto at = prepared(common.estimator, static_cast<M>(*common.t));
  const Index members = Index(common.parts) * n;
  RowPart<M, n, held> following;
  Index index = first_row();
  if (index < common.groups) following.fetch(common.w + index * members, common.parts);
  for (; index < common.groups; index += row_step()) {
    const RowPart<M, n, held> kept = following;
    if (index + row_step() < common.groups)
      following.fetch(common.w + (index + row_step()) * members, common.parts);  // while this row is computed
    const M* const row = common.w + index * members;
    const ScaleGroup<M> group =
        group_of(common, index, common.analytic ? mean_magnitude(kept, row, common.parts) : M(0));
    each_part(kept, row, common.parts, [&](const Lanes<M, n>& w, Index first, int) {
      Lanes<M, n> y;
      for (int i = 0; i < n; ++i) y.lane[i] = group.factor * value_at(at, M(w.lane[i] * group.reciprocal));
      store(wb + index * members + first, rounded<T>(y));
    });
  }
}

/// dW += gain (g E' + sgn(w)/n sum), with sum g (E - x E') where the gradient flows through S_a; dS_l as in the op.
template <class T, class E, int n>
__global__ void __launch_bounds__(binarize_threads<master_t<T>>)
    binarize_backward_kernel(BinarizeArguments<E> common, const T* g, master_t<T>* dw, master_t<T>* dlearned) {
  using M = master_t<T>;
  constexpr int held = backward_weights / n;
  const auto at = prepared(common.estimator, static_cast<M>(*common.t));
  const bool through_scale = common.analytic && common.attached && dw != nullptr;
  const bool summed = through_scale || dlearned != nullptr;
  const Index members = Index(common.parts) * n;
  RowPart<M, n, held> w_next, dw_kept;
  RowPart<T, n, held> g_next;
  const auto fetch = [&](Index index) {
    if (index >= common.groups) return;
    w_next.fetch(common.w + index * members, common.parts);
    g_next.fetch(g + index * members, common.parts);
  };
  fetch(first_row());
  for (Index index = first_row(); index < common.groups; index += row_step()) {
    const Index begin = index * members;
    const RowPart<M, n, held> kept = w_next;
    const RowPart<T, n, held> g_kept = g_next;
    if (dw != nullptr) dw_kept.fetch(dw + begin, common.parts);
    fetch(index + row_step());  // while this row is computed
    const M* const row = common.w + begin;
    const ScaleGroup<M> group =
        group_of(common, index, common.analytic ? mean_magnitude(kept, row, common.parts) : M(0));
    Lanes<M, n> direct[held];  // g E'
    M sums[2] = {M(0), M(0)};  // of g E and of g (E - x E')
    const auto add_up = [&](const Lanes<M, n>& w, const Lanes<M, n>& dy, Lanes<M, n>& out) {
      for (int i = 0; i < n; ++i) {
        const M x = w.lane[i] * group.reciprocal;
        const ValueAndSlope<M> e = value_and_slope_at(at, x);
        out.lane[i] = dy.lane[i] * e.slope;
        sums[0] += dy.lane[i] * e.value;
        sums[1] += dy.lane[i] * (e.value - x * e.slope);
      }
    };
    each_part(kept, row, common.parts, [&](const Lanes<M, n>& w, Index first, int k) {
      Lanes<M, n> unused;
      if (k < held) {
        add_up(w, widened(g_kept.part[k].lanes()), direct[k]);
      } else if (summed) {
        add_up(w, widened(load<n>(g + begin + first)), unused);
      }
    });
    if (summed) row_sum(sums);
    if (dlearned != nullptr && threadIdx.x == 0)
      dlearned[index] += common.analytic ? group.scale * sums[0] : group.alive * sums[1];
    if (dw == nullptr) continue;
    const M shared = through_scale ? sums[1] / static_cast<M>(members) : M(0);
    each_part(kept, row, common.parts, [&](const Lanes<M, n>& w, Index first, int k) {
      Lanes<M, n> sum;
      if (k < held) {
        sum = dw_kept.part[k].lanes();
      } else {
        sum = load<n>(dw + begin + first);
      }
      const Lanes<M, n> dy = k < held ? Lanes<M, n>{} : widened(load<n>(g + begin + first));
      for (int i = 0; i < n; ++i) {
        const M along = k < held ? direct[k].lane[i] : dy.lane[i] * slope_at(at, M(w.lane[i] * group.reciprocal));
        const M share = w.lane[i] > M(0) ? shared : w.lane[i] < M(0) ? -shared : M(0);  // abs_slope(w) shared
        sum.lane[i] += group.gain * (along + share);
      }
      store(dw + begin + first, sum);
    });
  }
}

template <class E>
[[nodiscard]] BinarizeArguments<E> binarize_arguments(const E& estimator, const ScaleTraits& traits,
                                                      View<const typename E::value_type, Cuda> w,
                                                      View<const typename E::value_type, Cuda> learned, const double* t,
                                                      int lanes) {
  const Index groups = w.size() == 0 ? 0 : traits.shape(w.shape[0], w.shape[1]).size();
  const Index members = groups == 0 ? 0 : w.size() / groups;
  return {estimator,
          traits.analytic,
          traits.learned,
          traits.attached,
          w.data,
          learned.data,
          t,
          groups,
          static_cast<int>(members / lanes)};
}

/// Calls body with the widest lanes in which all rows lie, as a std::integral_constant.
template <int n, class Body>
void with_lanes(bool wide, const Body& body) {
  if (wide) return body(std::integral_constant<int, n>{});
  body(std::integral_constant<int, 1>{});
}

[[nodiscard]] inline Index members_of(const ScaleTraits& traits, const Shape& weight) {
  return traits.granularity == Granularity::group ? traits.group : weight[1];
}

}  // namespace detail

/// W_b of T from a master weight. Granularity of the traits: row or group. `t` and all views are on the device.
template <class T, Estimator E>
void binarize_forward(const E& estimator, const ScaleTraits& traits, View<const typename E::value_type, Cuda> w,
                      View<const typename E::value_type, Cuda> learned, const double* t, View<T, Cuda> wb) {
  static_assert(std::is_same_v<typename E::value_type, master_t<T>>);
  const Index members = detail::members_of(traits, w.shape);
  const bool wide = lies_in_lanes<4>(w.data, members) && lies_in_lanes<4>(wb.data, members);
  detail::with_lanes<4>(wide, [&](auto lanes) {
    const auto arguments = detail::binarize_arguments(estimator, traits, w, learned, t, lanes);
    if (arguments.groups == 0) return;
    const auto [grid, block] = resident_grid(arguments.groups, arguments.parts, detail::forward_weights / lanes,
                                             detail::binarize_threads<master_t<T>>);
    launch("binarize_forward", detail::binarize_forward_kernel<T, E, lanes>, grid, block, 0, arguments, wb.data);
  });
}

/// Adds to dw and dlearned; an empty one is not wanted.
template <class T, Estimator E>
void binarize_backward(const E& estimator, const ScaleTraits& traits, View<const typename E::value_type, Cuda> w,
                       View<const typename E::value_type, Cuda> learned, const double* t, View<const T, Cuda> g,
                       View<typename E::value_type, Cuda> dw, View<typename E::value_type, Cuda> dlearned) {
  static_assert(std::is_same_v<typename E::value_type, master_t<T>>);
  if (!traits.learned) dlearned = {};  // the gradient of an empty leaf is a block that holds nothing
  if (!dw && !dlearned) return;
  const Index members = detail::members_of(traits, w.shape);
  const bool wide =
      lies_in_lanes<4>(w.data, members) && lies_in_lanes<4>(g.data, members) && lies_in_lanes<4>(dw.data, members);
  detail::with_lanes<4>(wide, [&](auto lanes) {
    const auto arguments = detail::binarize_arguments(estimator, traits, w, learned, t, lanes);
    if (arguments.groups == 0) return;
    const auto [grid, block] = resident_grid(arguments.groups, arguments.parts, detail::backward_weights / lanes,
                                             detail::binarize_threads<master_t<T>>);
    launch("binarize_backward", detail::binarize_backward_kernel<T, E, lanes>, grid, block, 0, arguments, g.data,
           dw.data, dlearned.data);
  });
}

}  // namespace binllm::cuda

namespace binllm::cuda {

/// Rows and groups by one pass of a block; columns and whole tensors by the definition.
template <Estimator E, std::floating_point M>
struct Implementation<Binarize<E, ScaleByTraits<M>>> {
  using S = ScaleByTraits<M>;
  using In = View<const M, Cuda>;
  using Out = View<M, Cuda>;

  template <class T>
  static void forward(const E& estimator, const S& scale, In w, In learned, const double* t, Out memory,
                      View<T, Cuda> wb) {
    if (lies_together(scale)) return binarize_forward<T>(estimator, scale.chosen, w, learned, t, wb);
    GenericKernel<Binarize<E, S>, Cuda>::forward(estimator, scale, w, learned, t, memory, wb);
  }
  template <class T>
  static void backward(const E& estimator, const S& scale, In w, In learned, const double* t, View<const T, Cuda> g,
                       Out memory, Out dw, Out dlearned) {
    if (lies_together(scale)) return binarize_backward<T>(estimator, scale.chosen, w, learned, t, g, dw, dlearned);
    GenericKernel<Binarize<E, S>, Cuda>::backward(estimator, scale, w, learned, t, g, memory, dw, dlearned);
  }

 private:
  static bool lies_together(const S& scale) {
    return scale.chosen.granularity == Granularity::row || scale.chosen.granularity == Granularity::group;
  }
};

}  // namespace binllm::cuda
