// SPDX-License-Identifier: MIT
/// The inner loops of the CPU's services: formulas over packs, and over the part of a pack at the end of a row. Fused
/// kernels call them for one row at a time, while it lies in the cache. Packs are of master_t of what memory holds: over
/// bf16 all formulas and sums run in float.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/device/operands.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace binllm::cpu {

/// A part of a matrix: rows [row, row_end), columns [col, col_end).
struct Block {
  Index row, row_end, col, col_end;
};

/// The lanes that f gives for columns [col, col + count) of a row: for a tail, those after them mean nothing.
template <class X, class F, class... In>
[[nodiscard]] auto apply(const F& f, Index row, Index col, Index count, const In&... in) {
  const bool whole = count == pack_width;
  return f((whole ? in.template load<X>(row, col) : load_part<X>(in, row, col, count))...);
}

/// The first `count` lanes of a pack go to memory, or are added to what is there, unless that is nothing yet.
template <Write mode, class T>
void store(T* to, const Pack<master_t<T>>& value, Index count, [[maybe_unused]] bool fresh = false) {
  using X = Pack<master_t<T>>;
  if constexpr (std::is_same_v<T, master_t<T>>) {
    if (count == pack_width) {
      Eigen::Map<X> lanes(to);
      if constexpr (mode == Write::assign) {
        lanes = value;
      } else if (fresh) {
        lanes = value;
      } else {
        lanes += value;
      }
      return;
    }
  }
  X lanes = value;
  if constexpr (mode == Write::accumulate) {
    if (!fresh) lanes += count == pack_width ? whole_lanes<X>(to) : first_lanes<X>(to, count);
  }
  store_lanes(to, lanes, count);
}

/// A reduction goes on with the first `count` lanes of a pack.
template <class Reduction, class T>
[[nodiscard]] Pack<T> combine(const Pack<T>& total, const Pack<T>& value, Index count) {
  if (count == pack_width) return Reduction::combine(total, value);
  return Reduction::combine(total, keep_lanes(value, count, Reduction::template neutral<T>));
}

// Flattened: otherwise a helper that several formulas share (a sigmoid, say) becomes a function, and packs go to it and
// come back through memory. Arguments by value: the loop keeps them in registers, whatever it writes.

/// outs[k][r, c] = f(in(r, c)...)[k] in a block. All arguments of a pack are read before any of its results is written.
template <Write mode, class T, std::size_t count, class F, class... In>
[[gnu::flatten]] void map_block(const std::array<Target<T>, count>& outs, const Block& block, F f, In... in) {
  using X = Pack<master_t<T>>;
  for (Index row = block.row; row < block.row_end; ++row) {
    for (Index col = block.col; col < block.col_end; col += pack_width) {
      const Index lanes = std::min(pack_width, block.col_end - col);
      const std::array<X, count> values{apply<X>(f, row, col, lanes, in...)};
      [&]<std::size_t... k>(std::index_sequence<k...>) {
        ((outs[k].data != nullptr
              ? store<mode>(outs[k].data + row * outs[k].stride + col, values[k], lanes, outs[k].fresh)
              : void()),
         ...);
      }
      (std::make_index_sequence<count>{});
    }
  }
}

/// The reduction of f(in(row, c)...) over c in [0, cols), in fixed order.
template <class Reduction, class T, class F, class... In>
[[nodiscard, gnu::flatten]] T reduce_row(Index row, Index cols, F f, In... in) {
  Pack<T> total = Pack<T>::Constant(Reduction::template neutral<T>);
  for (Index col = 0; col < cols; col += pack_width) {
    const Index lanes = std::min(pack_width, cols - col);
    total = combine<Reduction, T>(total, apply<Pack<T>>(f, row, col, lanes, in...), lanes);
  }
  return Reduction::template fold<T>(total);
}

/// The same, and out[c] = f(in(row, c)...).
template <class Reduction, class T, class F, class... In>
[[nodiscard, gnu::flatten]] master_t<T> map_and_reduce_row(T* out, Index row, Index cols, F f, In... in) {
  using M = master_t<T>;
  Pack<M> total = Pack<M>::Constant(Reduction::template neutral<M>);
  for (Index col = 0; col < cols; col += pack_width) {
    const Index lanes = std::min(pack_width, cols - col);
    const Pack<M> value = apply<Pack<M>>(f, row, col, lanes, in...);
    store<Write::assign>(out + col, value, lanes);
    total = combine<Reduction, M>(total, value, lanes);
  }
  return Reduction::template fold<M>(total);
}

}  // namespace binllm::cpu
