// SPDX-License-Identifier: MIT
/// The services of the CPU: the closed set that generic kernels are written on.
#pragma once
#include <binllm/core/device.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu_gemm.hpp>
#include <binllm/device/operands.hpp>
#include <binllm/device/thread_pool.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <new>

namespace binllm {

/// Which factor is transposed: y = x w^T (nt), dx = dy w (nn), dw = dy^T x (tn).
enum class Product { nt, nn, tn };

namespace cpu {

/// A part of a matrix: rows [row, row_end), columns [col, col_end).
struct Block {
  Index row, row_end, col, col_end;
};
/// Cuts rows x cols into blocks of at most height x width and calls body(block) for each, in parallel.
inline void over_blocks(Index rows, Index cols, Index height, Index width, const void* body,
                        void (*call)(const void*, const Block&)) {
  if (rows <= 0 || cols < 0) return;
  height = std::max<Index>(height, 1);
  width = std::max<Index>(width, 1);
  const Index across = std::max<Index>((cols + width - 1) / width, 1);
  parallel_for((rows + height - 1) / height * across, [&](Index tile) {
    const Index row = tile / across * height, col = tile % across * width;
    call(body, {row, std::min(rows, row + height), col, std::min(cols, col + width)});
  });
}
/// The grid above is compiled once; only the body is compiled for each formula.
template <class Body>
void over_blocks(Index rows, Index cols, Index height, Index width, const Body& body) {
  over_blocks(rows, cols, height, width, &body,
              [](const void* object, const Block& block) { (*static_cast<const Body*>(object))(block); });
}

}  // namespace cpu

template <>
struct Backend<Cpu> {
  static constexpr std::size_t alignment = 64;

  // ---- memory
  /// Errors: out_of_memory with the bytes asked for.
  [[nodiscard]] static void* allocate(std::size_t bytes) {
    void* pointer = ::operator new (std::max<std::size_t>(bytes, 1), std::align_val_t{alignment}, std::nothrow);
    if (pointer == nullptr) {
      throw Error(ErrorId::out_of_memory, "Backend<Cpu>::allocate", "bytes", "memory for the request",
                  fmt::format("{} bytes refused", bytes));
    }
    return pointer;
  }
  static void release(void* pointer) noexcept { ::operator delete (pointer, std::align_val_t{alignment}); }
  /// The blocks may overlap.
  static void copy(void* to, const void* from, std::size_t bytes) noexcept {
    if (bytes > 0) std::memmove(to, from, bytes);
  }
  static void zero(void* pointer, std::size_t bytes) noexcept {
    if (bytes > 0) std::memset(pointer, 0, bytes);
  }
  static void synchronise() noexcept {}

  // ---- formulas over blocks
  /// out[r, c] = f(in(r, c)...), or += with Write::accumulate.
  template <Write mode = Write::assign, class T, class F, class... In>
  static void map(View<T> out, F f, In... in) {
    map<mode>(Target<T>(out), f, in...);
  }
  template <Write mode = Write::assign, class T, class F, class... In>
  static void map(Target<T> out, F f, In... in) {
    const Index width = std::min(out.cols, tile_elements);
    cpu::over_blocks(out.rows, out.cols, tile_elements / std::max<Index>(out.cols, 1), width,
                     [&](const cpu::Block& block) {
                       for (Index row = block.row; row < block.row_end; ++row) {
                         T* target = out.data + row * out.stride;
                         Index c = block.col;
                         for (; c + pack_width <= block.col_end; c += pack_width) {
                           Eigen::Map<Pack<T>> lanes(target + c);
                           const Pack<T> value = f(in.template load<Pack<T>>(row, c)...);
                           if constexpr (mode == Write::assign) {
                             lanes = value;
                           } else {
                             lanes += value;
                           }
                         }
                         for (; c < block.col_end; ++c) {
                           const T value = f(in.template load<T>(row, c)...);
                           target[c] = mode == Write::assign ? value : target[c] + value;
                         }
                       }
                     });
  }

  /// out[r] = reduction over c of f(in(r, c)...), in fixed order. `cols` is the extent of c.
  template <class Reduction, class T, class F, class... In>
  static void row_reduce(View<T> out, Index cols, F f, In... in) {
    cpu::over_blocks(out.size(), cols, tile_elements / std::max<Index>(cols, 1), cols, [&](const cpu::Block& block) {
      for (Index row = block.row; row < block.row_end; ++row) {
        Pack<T> lanes = Pack<T>::Constant(Reduction::template neutral<T>);
        Index c = 0;
        for (; c + pack_width <= cols; c += pack_width) {
          lanes = Reduction::combine(lanes, Pack<T>(f(in.template load<Pack<T>>(row, c)...)));
        }
        T total = Reduction::template fold<T>(lanes);
        for (; c < cols; ++c) total = Reduction::combine(total, T(f(in.template load<T>(row, c)...)));
        out.data[row] = total;
      }
    });
  }

  /// out[c] += sum over r of f(in(r, c)...), rows in order. `rows` is the extent of r.
  template <class T, class F, class... In>
  static void column_reduce(View<T> out, Index rows, F f, In... in) {
    const Index narrow = tile_elements / std::max<Index>(rows, 1);
    const Index width = std::max<Index>(pack_width, (narrow + pack_width - 1) / pack_width * pack_width);
    cpu::over_blocks(rows, out.size(), rows, width, [&](const cpu::Block& block) {
      for (Index row = block.row; row < block.row_end; ++row) {
        Index c = block.col;
        for (; c + pack_width <= block.col_end; c += pack_width) {
          Eigen::Map<Pack<T>>(out.data + c) += f(in.template load<Pack<T>>(row, c)...);
        }
        for (; c < block.col_end; ++c) out.data[c] += f(in.template load<T>(row, c)...);
      }
    });
  }

  // ---- rows of a table
  /// y[n, :] = table[ids[n], :], as numbers of y's type.
  template <class T, class U>
  static void gather_rows(View<const std::int32_t> ids, View<const U> table, View<T> y) {
    const Index height = tile_elements / std::max<Index>(y.cols(), 1);
    cpu::over_blocks(ids.size(), y.cols(), height, y.cols(), [&](const cpu::Block& block) {
      for (Index n = block.row; n < block.row_end; ++n) y.row(n) = table.row(ids.data[n]).template cast<T>();
    });
  }
  /// dtable[ids[n], :] += dy[n, :], n in order for every column, so that equal ids add up in fixed order.
  template <class T, class U>
  static void scatter_add_rows(View<const std::int32_t> ids, View<const T> dy, View<U> dtable) {
    const Index rows = ids.size(), narrow = tile_elements / std::max<Index>(rows, 1);
    const Index width = std::max<Index>(pack_width, (narrow + pack_width - 1) / pack_width * pack_width);
    cpu::over_blocks(rows, dtable.cols(), rows, width, [&](const cpu::Block& block) {
      const Index count = block.col_end - block.col;
      for (Index n = 0; n < rows; ++n) {
        dtable.row(ids.data[n]).segment(block.col, count) += dy.row(n).segment(block.col, count).template cast<U>();
      }
    });
  }

  // ---- matrix products
  /// c = a b (or c += a b) with the factors transposed as `product` says; all leading dimensions count as rows.
  template <Write mode = Write::assign, class T>
  static void gemm(Product product, View<const T> a, View<const T> b, View<T> c) {
    const Index m = product == Product::tn ? a.cols() : a.rows();
    const Index k = product == Product::tn ? a.rows() : a.cols();
    const Index n = product == Product::nt ? b.rows() : b.cols();
    const bool a_transposed = product == Product::tn, b_transposed = product == Product::nt;
    // The longer side of the result is cut on a grid that depends on the shape alone.
    const bool by_rows = m >= n;
    const Index longer = by_rows ? m : n;
    const Index tiles = gemm_tiles(longer, m * n * k);
    const Index extent = ((longer + tiles - 1) / tiles + 15) / 16 * 16;
    const std::size_t bytes =
        by_rows ? cpu::gemm_bytes<T>(std::min(extent, m), n, k) : cpu::gemm_bytes<T>(m, std::min(extent, n), k);
    parallel_for(tiles, bytes, [&](Index tile, std::byte* panels) {
      const Index first = std::min(longer, tile * extent), count = std::min(longer, first + extent) - first;
      const Index row = by_rows ? first : 0, col = by_rows ? 0 : first;
      const Index rows = by_rows ? count : m, cols = by_rows ? n : count;
      T* target = c.data + row * n + col;
      if constexpr (mode == Write::assign) {
        for (Index r = 0; r < rows; ++r) zero(target + r * n, static_cast<std::size_t>(cols) * sizeof(T));
      }
      const cpu::Operand<T> left{a.data + (a_transposed ? row : row * a.cols()), a.cols(), a_transposed};
      const cpu::Operand<T> right{b.data + (b_transposed ? col * b.cols() : col), b.cols(), b_transposed};
      cpu::gemm_serial<T>(rows, cols, k, T(1), left, right, target, n, panels);
    });
  }

  /// Elements that make a tile worth a thread's attention.
  static constexpr Index tile_elements = 16384;

 private:
  static Index gemm_tiles(Index longer, Index multiplications) {
    if (multiplications < (Index(1) << 18)) return 1;
    const auto wanted = static_cast<std::size_t>(std::clamp<Index>(longer / 128, 2, 16));
    return static_cast<Index>(std::bit_floor(wanted));
  }
};

/// What every backend offers; see Backend<Cpu> for the meaning of each.
template <class D>
concept Device = requires(void* p, const void* q, std::size_t n) {
  { Backend<D>::allocate(n) } -> std::same_as<void*>;
  Backend<D>::release(p);
  Backend<D>::copy(p, q, n);
  Backend<D>::zero(p, n);
  Backend<D>::synchronise();
};
static_assert(Device<Cpu>);

}  // namespace binllm
