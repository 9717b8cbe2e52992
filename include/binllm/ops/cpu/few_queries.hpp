// SPDX-License-Identifier: MIT
/// Attention of one query, or a few, to many keys, as in decoding. Every key and value is read once, where it lies, for
/// all query heads that share it; with so few queries nothing would repay the copies that a matrix product makes.
///
/// The keys are cut into chunks of fixed size. A chunk gives, for each query, the largest score m, the sum s of
/// e^{score - m}, and the sum a of e^{score - m} v; the parts of all chunks are put together in order:
///   M = max m_c;   y = sum_c e^{m_c - M} a_c / sum_c e^{m_c - M} s_c        (Dao et al., arXiv 2205.14135)
#pragma once
#include <binllm/device/cpu.hpp>
#include <binllm/ops/cpu/stored_lanes.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

// A packet as a template argument loses attributes that only packets in memory need; here none is stored.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace binllm::cpu {

/// A product that reads the keys once for many queries pays above this.
[[nodiscard]] inline bool are_few_queries(Index queries) { return queries <= Attention::few_queries; }

/// The queries of one sequence, its keys and values from the first on, and where results go; lse may be null. Keys and
/// values may be stored in fewer bits, and then have a factor each, one behind the other as the keys are.
template <class T, class Stored = T>
struct OneSequence {
  Attention a;  ///< batch 1
  const T* q;
  const Stored *keys, *values;
  Index key_step, head_step;  ///< from one key to the next, from one key-value head to the next
  master_t<T>* lse;
  T* y;
  const float *key_factors = nullptr, *value_factors = nullptr;
};

/// One chunk of keys of one key-value head. Rows are the queries of the head's group: row t * group + g is query t of
/// query head g. The number of lanes follows the compiler's flags and is part of the name.
template <class T, class Stored = T, int lane_count = Eigen::internal::packet_traits<T>::size>
class KeyChunk {
  using Lanes = detail::Packets<T, lane_count>;
  using InMemory = StoredLanes<T, Stored, lane_count>;
  using Packet = typename Lanes::Packet;
  struct Vector {  // a bare packet, as the element of an array, would lose its alignment
    Packet value;
  };

 public:
  static constexpr Index size = 128;  ///< keys
  [[nodiscard]] static Index count(Index keys) { return (keys + size - 1) / size; }
  /// Numbers that a chunk leaves for one row: m, s, and a.
  [[nodiscard]] static Index part(Index head_dim) { return head_dim + 2; }

  KeyChunk(const OneSequence<T, Stored>& problem, Index kv, Index chunk)
      : p_(problem),
        kv_(kv),
        first_(chunk * size),
        last_(std::min(problem.a.keys, first_ + size)),
        at_(kv * problem.head_step + first_ * problem.key_step),
        scale_(T(1) / std::sqrt(static_cast<T>(problem.a.head_dim))) {}

  /// Writes the parts of all rows, one behind the other.
  void run(T* parts) const {
    const Index rows = p_.a.queries * p_.a.group();
    for (Index row = 0; row < rows; row += 4) {
      T* const to = parts + row * part(p_.a.head_dim);
      switch (std::min<Index>(rows - row, 4)) {
        case 1:
          block<1>(row, to);
          break;
        case 2:
          block<2>(row, to);
          break;
        case 3:
          block<3>(row, to);
          break;
        default:
          block<4>(row, to);
      }
    }
  }

 private:
  static constexpr Index keys_ahead = 8;  ///< on their way from memory

  template <int rows>
  void block(Index row, T* to) const {
    const Index group = p_.a.group(), dim = p_.a.head_dim;
    T weights[rows][size];
    const T* q[rows];
    for (int r = 0; r < rows; ++r)
      q[r] = p_.q + ((row + r) / group * p_.a.heads + kv_ * group + (row + r) % group) * dim;
    const Stored* key = p_.keys + at_;
    for (Index j = 0; j < last_ - first_; ++j, key += p_.key_step) score(q, key, j, weights, Rows<rows>{});
    for (int r = 0; r < rows; ++r) {
      T* const result = to + r * part(dim);
      exponentials(weights[r], (row + r) / group, result);
      if constexpr (factors) {
        const float* const factor = p_.value_factors + at_ / p_.key_step;
        for (Index j = 0; j < last_ - first_; ++j) weights[r][j] *= static_cast<T>(factor[j]);
      }
    }
    weigh(&weights[0][0], to, Rows<rows>{});
  }

  template <int rows>
  using Rows = std::make_integer_sequence<int, rows>;

  static constexpr bool factors = std::is_same_v<Stored, std::int8_t>;

  /// weights[r][j] = q_r . k_j / sqrt(D)
  template <int rows, int... r>
  void score(const T* const (&q)[rows], const Stored* key, Index j, T (&weights)[rows][size],
             std::integer_sequence<int, r...>) const {
    namespace simd = Eigen::internal;
    Vector sums[] = {(static_cast<void>(r), Vector{Lanes::constant(T(0))})...};
    Index d = 0;
    for (; d + Lanes::size <= p_.a.head_dim; d += Lanes::size) {
      simd::prefetch(key + d + keys_ahead * p_.key_step);
      const Packet k = InMemory::load(key + d);
      ((sums[r].value = simd::pmadd(k, Lanes::load(q[r] + d), sums[r].value)), ...);
    }
    if (const Index rest = p_.a.head_dim - d; rest > 0) {
      const Packet k = InMemory::load_part(key + d, rest);
      ((sums[r].value = simd::pmadd(k, Lanes::load_part(q[r] + d, rest), sums[r].value)), ...);
    }
    T scale = scale_;
    if constexpr (factors) scale *= static_cast<T>(p_.key_factors[at_ / p_.key_step + j]);
    ((weights[r][j] = simd::predux(sums[r].value) * scale), ...);
  }

  /// e^{score - m} where query t sees the key, 0 elsewhere; m and the sum go to the part.
  void exponentials(T* scores, Index t, T* to) const {
    const Index all = last_ - first_, seen = std::clamp<Index>(p_.a.offset() + t + 1 - first_, 0, all);
    const Elements<T> row{scores, size};
    to[0] = reduce_row<Max, T>(0, seen, formula::Identity{}, row);
    to[1] = map_and_reduce_row<Sum>(scores, 0, seen, Softmax::Exponential{}, row, PerRow<T>{to});
    std::fill(scores + seen, scores + all, T(0));
  }

  /// a_r = sum_j weights[r][j] v_j, as many columns at a time as registers hold.
  template <int... r>
  void weigh(const T* weights, T* parts, std::integer_sequence<int, r...> rows) const {
    constexpr int wide = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 4 : 2;
    const Index dim = p_.a.head_dim;
    Index d = 0;
    for (; d + wide * Lanes::size <= dim; d += wide * Lanes::size)
      columns(weights, parts, d, wide * Lanes::size, rows, std::make_integer_sequence<int, wide>{});
    for (; d < dim; d += Lanes::size)
      columns(weights, parts, d, std::min(dim - d, Lanes::size), rows, std::integer_sequence<int, 0>{});
  }
  template <int... r, int... c>
  void columns(const T* weights, T* parts, Index d, Index count, std::integer_sequence<int, r...>,
               std::integer_sequence<int, c...> across) const {
    const auto zeros = [](int) {
      return VectorRow<sizeof...(c)>{{(static_cast<void>(c), Vector{Lanes::constant(T(0))})...}};
    };
    VectorRow<sizeof...(c)> sums[] = {zeros(r)...};
    const Stored* value = p_.values + at_ + d;
    const bool whole = count == static_cast<Index>(sizeof...(c)) * Lanes::size;
    for (Index j = 0; j < last_ - first_; ++j, value += p_.key_step) {
      (Eigen::internal::prefetch(value + c * Lanes::size + keys_ahead * p_.key_step), ...);
      const Vector v[] = {
          Vector{whole ? InMemory::load(value + c * Lanes::size) : InMemory::load_part(value, count)}...};
      (add(sums[r], weights[r * size + j], v, across), ...);
    }
    const auto store = [&](int row) {
      T* const to = parts + row * part(p_.a.head_dim) + 2 + d;
      (Lanes::store(to + c * Lanes::size, sums[row].vectors[c].value, whole ? Lanes::size : count), ...);
    };
    (store(r), ...);
  }
  template <std::size_t count>
  struct VectorRow {
    Vector vectors[count];
  };
  template <std::size_t count, int... c>
  [[gnu::always_inline]] static void add(VectorRow<count>& sums, T weight, const Vector (&v)[count],
                                         std::integer_sequence<int, c...>) {
    const Packet factor = Lanes::constant(weight);
    ((sums.vectors[c].value = Eigen::internal::pmadd(factor, v[c].value, sums.vectors[c].value)), ...);
  }

  const OneSequence<T, Stored>& p_;
  Index kv_, first_, last_, at_;
  T scale_;
};

template <class T, class Stored>
KeyChunk(const OneSequence<T, Stored>&, Index, Index) -> KeyChunk<T, Stored>;

/// Puts the parts of all chunks of one query together, in an order that does not depend on where they lie.
template <class T, class Stored>
void join_parts(const OneSequence<T, Stored>& p, Index t, Index h, const T* parts, Index step) {
  const Index dim = p.a.head_dim, chunks = KeyChunk<T>::count(p.a.keys);
  T most = parts[0], total = 0;
  for (Index c = 1; c < chunks; ++c) most = std::max(most, parts[c * step]);
  T* const y = p.y + (t * p.a.heads + h) * dim;
  std::fill_n(y, dim, T(0));
  for (Index c = 0; c < chunks; ++c) {
    const T factor = std::exp(parts[c * step] - most);
    total += factor * parts[c * step + 1];
    axpy(factor, parts + c * step + 2, y, dim);
  }
  const T inverse = T(1) / total;
  for (Index d = 0; d < dim; ++d) y[d] *= inverse;
  if (p.lse != nullptr) p.lse[h * p.a.queries + t] = std::log(total) + most;
}

/// Elements of working memory for `rows` sequences of at most this size.
[[nodiscard]] inline Index few_queries_workspace(Index rows, const Attention& most) {
  return rows * most.heads * most.queries * KeyChunk<float>::count(most.keys) * KeyChunk<float>::part(most.head_dim);
}

/// problem(b), for b in [0, rows), is a OneSequence<T, Stored> of at most `most_keys` keys; all have the same heads.
template <class T, class Problem>
void attend_few_queries(Index rows, Index most_keys, T* memory, const Problem& problem) {
  if (rows == 0) return;
  const Attention a = problem(0).a;
  const Index chunks = KeyChunk<T>::count(most_keys), group_rows = a.queries * a.group();
  const Index step = group_rows * KeyChunk<T>::part(a.head_dim);  // from chunk to chunk
  const auto chunk = [&](Index task) {
    const auto p = problem(task / chunks / a.kv_heads);
    const Index c = task % chunks;
    if (c < KeyChunk<T>::count(p.a.keys)) KeyChunk(p, task / chunks % a.kv_heads, c).run(memory + task * step);
  };
  const auto join = [&](Index b) {
    const auto p = problem(b);
    for (Index h = 0; h < a.heads; ++h) {
      for (Index t = 0; t < a.queries; ++t) {
        const Index kv = h / a.group(), row = t * a.group() + h % a.group();
        join_parts(p, t, h, memory + (b * a.kv_heads + kv) * chunks * step + row * KeyChunk<T>::part(a.head_dim), step);
      }
    }
  };
  constexpr Index worth_threads = 32768;  // multiplications that take longer than to call the threads
  if (rows * most_keys * a.queries * a.heads * a.head_dim < worth_threads) {
    for (Index task = 0; task < rows * a.kv_heads * chunks; ++task) chunk(task);
    for (Index b = 0; b < rows; ++b) join(b);
  } else {
    parallel_for(rows * a.kv_heads * chunks, chunk);
    parallel_for(rows, join);
  }
}

}  // namespace binllm::cpu

#pragma GCC diagnostic pop
