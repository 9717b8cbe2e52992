// SPDX-License-Identifier: MIT
/// How a formula reads its arguments over a block of rows x cols: element by element, one value a row,
/// one value a column, or one value for all. `map` and the reductions of a backend take any mixture.
/// An operand has `load<X>(row, col)` for a scalar X and for a pack. Where a row ends inside a pack, the CPU asks for
/// `load_part<X>(row, col, count)`, which reads `count` columns and no more; an operand without one is read lane by
/// lane. Operands that lie in memory element by element also say where (`address`), and whether n columns at a time
/// are aligned there (`aligned`), for devices that load several at once.
#pragma once
#include <binllm/core/formula.hpp>
#include <binllm/core/view.hpp>
#include <binllm/device/lanes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace binllm {

/// The first `count` lanes of what an operand gives.
template <class X, class Operand>
[[nodiscard]] constexpr X load_part(const Operand& in, Index row, Index col, Index count) {
  if constexpr (requires { in.template load_part<X>(row, col, count); }) {
    return in.template load_part<X>(row, col, count);
  } else {
    using T = formula::lane_t<X>;
    X lanes = X::Constant(in.template load<T>(row, col));
    for (Index lane = 1; lane < count; ++lane) lanes[lane] = in.template load<T>(row, col + lane);
    return lanes;
  }
}

/// Which factor is transposed: y = x w^T (nt), dx = dy w (nn), dw = dy^T x (tn).
enum class Product { nt, nn, tn };

/// How a result is written: in place of the old value, or added to it.
enum class Write { assign, accumulate };

/// Where a gradient is added up. A fresh one holds nothing yet: who comes first writes all of it instead of adding.
template <class T, class Device>
struct Gradient {
  View<T, Device> view;
  bool fresh = false;

  Gradient() = default;
  Gradient(View<T, Device> block, bool nothing_yet = false) : view(block), fresh(nothing_yet) {}  // NOLINT
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(view); }
  [[nodiscard]] Write write() const noexcept { return fresh ? Write::assign : Write::accumulate; }
  /// For who can only add.
  [[nodiscard]] View<T, Device> zeroed() const {
    if (fresh) Backend<Device>::zero(view.data, static_cast<std::size_t>(view.size()) * sizeof(T));
    return view;
  }
};
/// A gradient among the parameters of a kernel whose other arguments say what T is; a view serves too.
template <class T, class Device>
using Into = std::type_identity_t<Gradient<T, Device>>;

namespace detail {
/// Whether runs of n elements from here on can be read 16 bytes at a time, or all of them where they are fewer.
template <class T>
[[nodiscard]] bool aligned(const T* data, Index n) {
  return reinterpret_cast<std::uintptr_t>(data) % std::min<std::size_t>(16, static_cast<std::size_t>(n) * sizeof(T)) ==
         0;
}
}  // namespace detail

template <class T>
struct Elements {
  const T* data;
  Index stride;
  [[nodiscard]] constexpr const T* address(Index row, Index col) const { return data + row * stride + col; }
  [[nodiscard]] bool aligned(Index n) const { return detail::aligned(data, n) && stride % n == 0; }
  template <class X>
  [[nodiscard]] constexpr X load(Index row, Index col) const {
    if constexpr (formula::is_pack<X>) {
      return whole_lanes<X>(data + row * stride + col);
    } else {
      return static_cast<X>(data[row * stride + col]);
    }
  }
  template <class X>
  [[nodiscard]] constexpr X load_part(Index row, Index col, Index count) const {
    return first_lanes<X>(data + row * stride + col, count);
  }
};
template <class T>
struct PerRow {
  const T* data;
  template <class X>
  [[nodiscard]] constexpr X load(Index row, Index) const {
    return formula::splat<X>(static_cast<formula::lane_t<X>>(data[row]));
  }
  template <class X>
  [[nodiscard]] constexpr X load_part(Index row, Index col, Index) const {
    return load<X>(row, col);
  }
};
template <class T>
struct PerColumn {
  const T* data;
  [[nodiscard]] constexpr const T* address(Index, Index col) const { return data + col; }
  [[nodiscard]] bool aligned(Index n) const { return detail::aligned(data, n); }
  template <class X>
  [[nodiscard]] constexpr X load(Index, Index col) const {
    if constexpr (formula::is_pack<X>) {
      return whole_lanes<X>(data + col);
    } else {
      return static_cast<X>(data[col]);
    }
  }
  template <class X>
  [[nodiscard]] constexpr X load_part(Index, Index col, Index count) const {
    return first_lanes<X>(data + col, count);
  }
};
template <class T>
struct Uniform {
  const T* data;
  template <class X>
  [[nodiscard]] constexpr X load(Index, Index) const {
    return formula::splat<X>(static_cast<formula::lane_t<X>>(*data));
  }
  template <class X>
  [[nodiscard]] constexpr X load_part(Index row, Index col, Index) const {
    return load<X>(row, col);
  }
};

/// A number that the host knows.
template <class T>
struct Constant {
  T value;
  template <class X>
  [[nodiscard]] constexpr X load(Index, Index) const {
    return formula::splat<X>(static_cast<formula::lane_t<X>>(value));
  }
  template <class X>
  [[nodiscard]] constexpr X load_part(Index row, Index col, Index) const {
    return load<X>(row, col);
  }
};

/// 1 where the column is the row's index, else 0.
template <class T>
struct OneHot {
  const std::int32_t* index;
  template <class X>
  [[nodiscard]] constexpr X load(Index row, Index col) const {
    const Index lane = index[row] - col;
    if constexpr (formula::is_pack<X>) {
      X lanes = X::Zero();
      if (lane >= 0 && lane < pack_width) lanes[lane] = T(1);
      return lanes;
    } else {
      return X(lane == 0);
    }
  }
};
/// 0 where the column is at most row + offset, else -infinity: a query sees itself and what came before.
template <class T>
struct CausalMask {
  Index offset;
  template <class X>
  [[nodiscard]] constexpr X load(Index row, Index col) const {
    constexpr T hidden = -std::numeric_limits<T>::infinity();
    const Index seen = row + offset - col;  // the last lane that is seen
    if constexpr (formula::is_pack<X>) {
      X lanes = X::Constant(seen >= pack_width - 1 ? T(0) : hidden);
      for (Index lane = 0; lane <= seen && seen < pack_width - 1; ++lane) lanes[lane] = T(0);
      return lanes;
    } else {
      return seen >= 0 ? T(0) : hidden;
    }
  }
};

/// Where a formula's results go: rows x cols, rows `stride` apart. What is added to a fresh one takes the place of what
/// is there.
template <class T>
struct Target {
  T* data;
  Index rows, cols, stride;
  bool fresh = false;
  template <class Device>
  Target(View<T, Device> view)
      : data(view.data), rows(view.rows()), cols(view.cols()), stride(view.cols()) {}  // NOLINT
  template <class Device>
  Target(Gradient<T, Device> gradient) : Target(gradient.view) {  // NOLINT
    fresh = gradient.fresh;
  }
  Target(T* first, Index row_count, Index col_count, Index row_stride, bool nothing_yet = false)
      : data(first), rows(row_count), cols(col_count), stride(row_stride), fresh(nothing_yet) {}
};

/// x[r, c]; x[r]; x[c]; x[0].
template <class T, class Device>
[[nodiscard]] auto elements(View<T, Device> x) {
  return Elements<std::remove_const_t<T>>{x.data, x.cols()};
}
template <class T, class Device>
[[nodiscard]] auto per_row(View<T, Device> x) {
  return PerRow<std::remove_const_t<T>>{x.data};
}
template <class T, class Device>
[[nodiscard]] auto per_column(View<T, Device> x) {
  return PerColumn<std::remove_const_t<T>>{x.data};
}
template <class T, class Device>
[[nodiscard]] auto uniform(View<T, Device> x) {
  return Uniform<std::remove_const_t<T>>{x.data};
}

/// Reductions with their neutral element.
struct Sum {
  template <class T>
  static constexpr T neutral = T(0);
  template <class X>
  [[nodiscard]] static constexpr X combine(const X& a, const X& b) {
    return a + b;
  }
  template <class T>
  [[nodiscard]] static T fold(const Pack<T>& lanes) {
    return lanes.sum();
  }
};
struct Max {
  template <class T>
  static constexpr T neutral = -std::numeric_limits<T>::infinity();
  template <class X>
  [[nodiscard]] static constexpr X combine(const X& a, const X& b) {
    if constexpr (formula::is_pack<X>) {
      return a.max(b);
    } else {
      return a > b ? a : b;
    }
  }
  template <class T>
  [[nodiscard]] static T fold(const Pack<T>& lanes) {
    return lanes.maxCoeff();
  }
};

}  // namespace binllm
