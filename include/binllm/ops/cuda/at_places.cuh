// SPDX-License-Identifier: MIT
/// The ops of ops/at_places.hpp on the GPU. Attention divides the keys of a sequence among warps, with the softmax
/// taken along (Dao et al., "Flash-Decoding for long-context inference"):
///   m = max_j s_j,   l = sum_j e^{s_j - m},   o = sum_j e^{s_j - m} v_j        of the keys j of a warp
///   y = sum_w e^{m_w - M} o_w / sum_w e^{m_w - M} l_w,   M = max_w m_w           of all warps
/// in base 2. How many blocks share a sequence does not depend on its length, so that a recording serves all lengths.
/// Heads that read the same keys are computed together, and several keys by a warp at a time.
/// Errors   shape_mismatch for head sizes over 256.
#pragma once
#include <binllm/core/check.hpp>
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>
#include <binllm/ops/cuda/attention/heads.cuh>
#include <binllm/ops/cuda/attention/instructions.cuh>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace binllm::cuda {

namespace detail {

/// A lane holds eight numbers of a row, so that few lanes share a key and a warp reads several keys at a time, twice.
inline constexpr int place_warps = 8, place_heads = 4, lane_numbers = 8, keys_ahead = 2;

struct PlacesExtents {
  int heads, kv_heads, head_dim, capacity, splits;

  [[nodiscard]] __host__ __device__ int group() const { return heads / kv_heads; }
  /// Blocks for the query heads that share a key head.
  [[nodiscard]] __host__ __device__ int head_blocks() const { return (group() + place_heads - 1) / place_heads; }
  /// Numbers that a block leaves of a head: m, l, o.
  [[nodiscard]] __host__ __device__ int of_head() const { return head_dim + 2; }

  [[nodiscard]] static PlacesExtents of(const AttentionAtPlaces& a) {
    PlacesExtents e{static_cast<int>(a.heads), static_cast<int>(a.kv_heads), static_cast<int>(a.head_dim),
                    static_cast<int>(a.capacity), 1};
    constexpr Index device_blocks = 2 * 132, warp_keys = 16, most = 64;  // no second wave of blocks
    const Index by_length = (a.capacity + place_warps * warp_keys - 1) / (place_warps * warp_keys);
    const Index by_device = device_blocks / std::max<Index>(1, a.rows * a.kv_heads * e.head_blocks());
    e.splits = static_cast<int>(std::clamp<Index>(std::min(by_length, by_device), 1, most));
    return e;
  }
};

template <class T>
using KeyPart = Lanes<master_t<T>, lane_numbers>;
/// Eight numbers of a row of head_dim, from `first` on; zeros beyond it.
template <class T>
[[nodiscard]] __device__ inline KeyPart<T> key_part(const T* row, int first, int head_dim, bool lanes, bool there) {
  if (lanes && there && first < head_dim) return widened(load<lane_numbers>(row + first));
  KeyPart<T> part;
#pragma unroll
  for (int c = 0; c < lane_numbers; ++c)
    part.lane[c] = there && first + c < head_dim ? static_cast<master_t<T>>(row[first + c]) : master_t<T>(0);
  return part;
}

/// e^{m - top} in base 2; nothing of what saw no key.
template <class M>
[[nodiscard]] __device__ inline M share_of(M m, M top) {
  return m == -INFINITY ? M(0) : exp2(m - top);
}

/// `key_lanes` lanes share a key, and those of a warp are its readers.
template <int key_lanes, class T>
__global__ void __launch_bounds__(32 * place_warps)
    places_attention_kernel(PlacesExtents e, const T* q, const T* keys, const T* values, const Place* places,
                            bool lanes, master_t<T>* parts, T* y) {
  using M = master_t<T>;
  constexpr int readers = 32 / key_lanes, block_readers = readers * place_warps;
  extern __shared__ std::byte places_bytes[];
  M* const places_memory = reinterpret_cast<M*>(places_bytes);  // (reader, head): m, l, o
  const int row = static_cast<int>(blockIdx.z), kv = static_cast<int>(blockIdx.y) / e.head_blocks();
  const int group_first = static_cast<int>(blockIdx.y) % e.head_blocks() * place_heads;
  const int first_head = kv * e.group() + group_first, count = min(place_heads, e.group() - group_first);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int reader = lane / key_lanes, column = lane % key_lanes * lane_numbers;
  const Place place = places[row];
  const int seen = place.length + 1, warps = e.splits * place_warps, share = (seen + warps - 1) / warps;
  const int first = (static_cast<int>(blockIdx.x) * place_warps + warp) * share, end = min(seen, first + share);
  const Index head = (Index(place.sequence) * e.kv_heads + kv) * e.capacity * e.head_dim;
  const M scale = std::numbers::log2e_v<M> * rsqrt(static_cast<M>(e.head_dim));

  KeyPart<T> query[place_heads], o[place_heads] = {};
  M m[place_heads], l[place_heads] = {};
#pragma unroll
  for (int h = 0; h < place_heads; ++h) {
    const T* const own = q + (Index(row) * e.heads + first_head + h) * e.head_dim;
    query[h] = key_part(own, column, e.head_dim, lanes, h < count);
    m[h] = -INFINITY;
  }
  for (int key = first + reader; key - reader < end; key += keys_ahead * readers) {
    KeyPart<T> k[keys_ahead], v[keys_ahead];
#pragma unroll
    for (int i = 0; i < keys_ahead; ++i) {
      const int at = key + i * readers;
      k[i] = key_part(keys + head + Index(at) * e.head_dim, column, e.head_dim, lanes, at < end);
      v[i] = key_part(values + head + Index(at) * e.head_dim, column, e.head_dim, lanes, at < end);
    }
#pragma unroll
    for (int h = 0; h < place_heads; ++h) {
      M s[keys_ahead] = {}, top = m[h];
#pragma unroll
      for (int i = 0; i < keys_ahead; ++i) {
#pragma unroll
        for (int c = 0; c < lane_numbers; ++c) s[i] += query[h].lane[c] * k[i].lane[c];
#pragma unroll
        for (int distance = 1; distance < key_lanes; distance *= 2)
          s[i] += __shfl_xor_sync(all_threads, s[i], distance);
        s[i] = key + i * readers < end ? s[i] * scale : M(-INFINITY);
        top = fmax(top, s[i]);
      }
      const M shrink = share_of(m[h], top);
      l[h] *= shrink;
#pragma unroll
      for (int c = 0; c < lane_numbers; ++c) o[h].lane[c] *= shrink;
#pragma unroll
      for (int i = 0; i < keys_ahead; ++i) {
        const M p = share_of(s[i], top);
        l[h] += p;
#pragma unroll
        for (int c = 0; c < lane_numbers; ++c) o[h].lane[c] += p * v[i].lane[c];
      }
      m[h] = top;
    }
  }
#pragma unroll
  for (int h = 0; h < place_heads; ++h) {
    M* const mine = places_memory + ((warp * readers + reader) * place_heads + h) * e.of_head();
    if (column == 0) mine[0] = m[h], mine[1] = l[h];
#pragma unroll
    for (int c = 0; c < lane_numbers; ++c) {
      if (column + c < e.head_dim) mine[2 + column + c] = o[h].lane[c];
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < count * e.head_dim; i += 32 * place_warps) {
    const int h = i / e.head_dim, d = i % e.head_dim;
    const auto of_reader = [&](int r) { return places_memory + (r * place_heads + h) * e.of_head(); };
    M top = -INFINITY, sum = 0, number = 0;
    for (int r = 0; r < block_readers; ++r) top = fmax(top, of_reader(r)[0]);
    for (int r = 0; r < block_readers; ++r) {
      const M part = share_of(of_reader(r)[0], top);
      sum += part * of_reader(r)[1];
      number += part * of_reader(r)[2 + d];
    }
    const Index at = Index(row) * e.heads + first_head + h;
    if (e.splits == 1) {
      y[at * e.head_dim + d] = T(number / sum);
    } else {
      M* const to = parts + (at * e.splits + blockIdx.x) * e.of_head();
      if (d == 0) to[0] = top, to[1] = sum;
      to[2 + d] = number;
    }
  }
}

/// A block for each head of a row.
template <class T>
__global__ void __launch_bounds__(256) join_places_kernel(PlacesExtents e, const master_t<T>* parts, T* y) {
  using M = master_t<T>;
  const Index at = blockIdx.x;
  const M* const first = parts + at * e.splits * e.of_head();
  for (int d = static_cast<int>(threadIdx.x); d < e.head_dim; d += static_cast<int>(blockDim.x)) {
    M top = -INFINITY, sum = 0, number = 0;
#pragma unroll 8
    for (int split = 0; split < e.splits; ++split) top = fmax(top, first[split * e.of_head()]);
#pragma unroll 8
    for (int split = 0; split < e.splits; ++split) {
      const M* const part = first + split * e.of_head();
      const M share = share_of(part[0], top);
      sum += share * part[1];
      number += share * part[2 + d];
    }
    y[at * e.head_dim + d] = T(number / sum);
  }
}

template <class T>
__global__ void __launch_bounds__(256)
    places_rotary_kernel(const T* x, const master_t<T>* cosine, const master_t<T>* sine, const Place* places, int width,
                         int head_dim, int half, T* y) {
  using M = master_t<T>;
  const int at = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), d = at % head_dim;
  if (at >= width) return;
  const Index row = Index(blockIdx.y) * width, angle = Index(places[blockIdx.y].length) * half + d;
  if (d < half) {
    const auto turned =
        Rotary::Rotate()(static_cast<M>(x[row + at]), static_cast<M>(x[row + at + half]), cosine[angle], sine[angle]);
    y[row + at] = T(turned[0]);
    y[row + at + half] = T(turned[1]);
  } else if (d >= 2 * half) {
    y[row + at] = x[row + at];
  }
}

template <class T>
__global__ void __launch_bounds__(256) places_write_kernel(const T* k, const T* v, int kv_heads, int capacity,
                                                           int head_dim, const Place* places, T* keys, T* values) {
  const int at = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), width = kv_heads * head_dim;
  if (at >= width) return;
  const Place place = places[blockIdx.y];
  const Index from = Index(blockIdx.y) * width + at;
  const Index to =
      ((Index(place.sequence) * kv_heads + at / head_dim) * capacity + place.length) * head_dim + at % head_dim;
  keys[to] = k[from];
  values[to] = v[from];
}

/// Threads for each number of a row, and the rows.
[[nodiscard]] inline dim3 places_grid(Index width, Index rows) {
  return {static_cast<unsigned>((width + 255) / 256), static_cast<unsigned>(rows)};
}

}  // namespace detail

template <>
struct Implementation<RotaryAtPlaces> {
  template <class T>
  static void forward(View<const T, Cuda> x, View<const master_t<T>, Cuda> cosine, View<const master_t<T>, Cuda> sine,
                      const Place* places, Index head_dim, View<T, Cuda> y) {
    launch("rotary", detail::places_rotary_kernel<T>, detail::places_grid(x.cols(), x.rows()), dim3(256), 0, x.data,
           cosine.data, sine.data, places, static_cast<int>(x.cols()), static_cast<int>(head_dim),
           static_cast<int>(cosine.cols()), y.data);
  }
};

template <>
struct Implementation<WriteAtPlaces> {
  template <class T>
  static void forward(View<const T, Cuda> k, View<const T, Cuda> v, View<T, Cuda> keys, View<T, Cuda> values,
                      const Place* places) {
    launch("cache", detail::places_write_kernel<T>, detail::places_grid(k.cols(), k.rows()), dim3(256), 0, k.data,
           v.data, static_cast<int>(keys.shape[1]), static_cast<int>(keys.shape[2]), static_cast<int>(keys.shape[3]),
           places, keys.data, values.data);
  }
};

template <>
struct Implementation<AttentionAtPlaces> {
  static Index workspace(const AttentionAtPlaces& a) {
    const auto e = detail::PlacesExtents::of(a);
    return e.splits == 1 ? 0 : a.rows * a.heads * e.splits * e.of_head();
  }
  template <class T>
  static void forward(const AttentionAtPlaces& a, View<const T, Cuda> q, View<const T, Cuda> keys,
                      View<const T, Cuda> values, const Place* places, View<master_t<T>, Cuda> memory,
                      View<T, Cuda> y) {
    if (a.head_dim > 256) check_shape("attention", "head_dim", Shape{a.head_dim}, Shape{256});
    const auto e = detail::PlacesExtents::of(a);
    const dim3 grid(static_cast<unsigned>(e.splits), static_cast<unsigned>(a.kv_heads * e.head_blocks()),
                    static_cast<unsigned>(a.rows));
    const bool lanes = lies_in_lanes<detail::lane_numbers>(q.data, a.head_dim) &&
                       lies_in_lanes<detail::lane_numbers>(keys.data, a.head_dim) &&
                       lies_in_lanes<detail::lane_numbers>(values.data, a.head_dim);
    const auto run = [&](auto key_lanes) {
      constexpr int n = key_lanes, readers = 32 / n * detail::place_warps;
      const std::size_t bytes =
          sizeof(master_t<T>) * static_cast<std::size_t>(readers * detail::place_heads * e.of_head());
      launch("attention", detail::places_attention_kernel<n, T>, grid, dim3(32 * detail::place_warps), bytes, e, q.data,
             keys.data, values.data, places, lanes, memory.data, y.data);
    };
    a.head_dim <= 16    ? run(std::integral_constant<int, 2>{})
    : a.head_dim <= 32  ? run(std::integral_constant<int, 4>{})
    : a.head_dim <= 64  ? run(std::integral_constant<int, 8>{})
    : a.head_dim <= 128 ? run(std::integral_constant<int, 16>{})
                        : run(std::integral_constant<int, 32>{});
    if (e.splits == 1) return;
    launch("attention", detail::join_places_kernel<T>, dim3(static_cast<unsigned>(a.rows * a.heads)),
           dim3(static_cast<unsigned>((std::min<Index>(a.head_dim, 256) + 31) / 32 * 32)), 0, e,
           static_cast<const master_t<T>*>(memory.data), y.data);
  }
};

}  // namespace binllm::cuda
