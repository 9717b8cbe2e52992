// SPDX-License-Identifier: MIT
/// The services of the CPU: the closed set that generic kernels are written on.
#pragma once
#include <binllm/core/device.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu_formulas.hpp>
#include <binllm/device/flush_subnormals.hpp>
#include <binllm/device/gemm/grid.hpp>
#include <binllm/device/gemm/products.hpp>
#include <binllm/device/thread_pool.hpp>
#include <binllm/simd/unit_build.hpp>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>

namespace binllm {

namespace cpu {

/// Cuts rows x cols into blocks of at most height x width and calls body(block) for each, in parallel.
inline void over_blocks(Index rows, Index cols, Index height, Index width, const void* body,
                        void (*call)(const void*, const Block&)) {
  if (rows <= 0 || cols < 0) return;
  height = std::max<Index>(height, 1);
  width = std::max<Index>(width, 1);
  if (rows <= height && cols <= width) return call(body, {0, rows, 0, cols});  // as most calls on small tensors are
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

/// Calls body(first, count) for all of a block of memory; for pieces of it, in parallel, where it is above 1 MiB.
template <class Body>
void over_bytes(std::size_t bytes, const Body& body) {
  constexpr std::size_t piece = std::size_t{1} << 18;
  if (bytes == 0) return;
  if (bytes <= 4 * piece) return body(0, bytes);
  parallel_for(static_cast<Index>((bytes + piece - 1) / piece), [&](Index i) {
    const std::size_t first = static_cast<std::size_t>(i) * piece;
    body(first, std::min(piece, bytes - first));
  });
}

/// Asks for pages of 2 MiB where a block holds whole ones: long streams then wait less for addresses.
inline void advise_huge_pages([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__linux__)
  constexpr std::uintptr_t page = std::uintptr_t{1} << 21;
  const auto begin = (reinterpret_cast<std::uintptr_t>(block) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(block) + bytes) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

/// Drops the whole pages of a large block of private memory, which then read as zero and are not resident until they
/// are written. Returns the pages; none where the system does not say that it did.
inline std::span<std::byte> drop_pages([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__linux__)
  constexpr std::size_t large = std::size_t{1} << 22, page = std::size_t{1} << 16;  // a multiple of every page size
  if (bytes < large) return {};
  auto* const first = static_cast<std::byte*>(block);
  const std::size_t skipped = (page - reinterpret_cast<std::uintptr_t>(block) % page) % page;
  const std::span<std::byte> pages(first + skipped, (bytes - skipped) / page * page);
  if (::madvise(pages.data(), pages.size(), MADV_DONTNEED) == 0) return pages;
#endif
  return {};
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
                  message("{} bytes refused", bytes));
    }
    cpu::advise_huge_pages(pointer, bytes);
    return pointer;
  }
  static void release(void* pointer) noexcept { ::operator delete (pointer, std::align_val_t{alignment}); }
  /// The blocks may overlap.
  static void copy(void* to, const void* from, std::size_t bytes) noexcept {
    const auto target = reinterpret_cast<std::uintptr_t>(to), source = reinterpret_cast<std::uintptr_t>(from);
    if (target < source + bytes && source < target + bytes) return static_cast<void>(std::memmove(to, from, bytes));
    cpu::over_bytes(bytes, [&](std::size_t first, std::size_t count) {
      std::memcpy(static_cast<std::byte*>(to) + first, static_cast<const std::byte*>(from) + first, count);
    });
  }
  static void zero(void* pointer, std::size_t bytes) noexcept {
    cpu::over_bytes(bytes, [&](std::size_t first, std::size_t count) {
      std::memset(static_cast<std::byte*>(pointer) + first, 0, count);
    });
  }
  /// The same of a block that was just allocated: memory is taken where it is written, which that of the gradients of a
  /// model that only computes never is.
  static void zero_new(void* pointer, std::size_t bytes) noexcept {
    const auto dropped = cpu::drop_pages(pointer, bytes);
    if (dropped.empty()) return zero(pointer, bytes);
    auto* const begin = static_cast<std::byte*>(pointer);
    zero(begin, static_cast<std::size_t>(dropped.data() - begin));
    auto* const end = dropped.data() + dropped.size();
    zero(end, bytes - static_cast<std::size_t>(end - begin));
  }
  static void synchronise() noexcept {}

  // ---- formulas over blocks
  /// out[r, c] = f(in(r, c)...), or += with Write::accumulate.
  template <Write mode = Write::assign, class T, class F, class... In>
  static void map(View<T> out, F f, In... in) {
    map<mode>(std::array{Target<T>(out)}, f, in...);
  }
  template <Write mode = Write::assign, class T, class F, class... In>
  static void map(Target<T> out, F f, In... in) {
    map<mode>(std::array{out}, f, in...);
  }
  /// outs[k][r, c] = f(in(r, c)...)[k]: several results of one pass, of the same extents. One without data is not
  /// wanted. An argument may lie where a result does, element for element.
  template <Write mode = Write::assign, class T, std::size_t count, class F, class... In>
  static void map(std::array<Target<T>, count> outs, F f, In... in) {
    const auto wanted = [](const Target<T>& out) { return out.data != nullptr; };
    const auto* first = std::find_if(outs.begin(), outs.end(), wanted);
    if (first == outs.end()) return;
    const Index rows = first->rows, cols = first->cols;
    cpu::over_blocks(rows, cols, tile_elements / std::max<Index>(cols, 1), std::min(cols, tile_elements),
                     [&](const cpu::Block& block) { cpu::map_block<mode>(outs, block, f, in...); });
  }

  /// out[r] = reduction over c of f(in(r, c)...), in fixed order. `cols` is the extent of c.
  template <class Reduction, class T, class F, class... In>
  static void row_reduce(View<T> out, Index cols, F f, In... in) {
    cpu::over_blocks(out.size(), cols, tile_elements / std::max<Index>(cols, 1), cols, [&](const cpu::Block& block) {
      for (Index row = block.row; row < block.row_end; ++row)
        out.data[row] = static_cast<T>(cpu::reduce_row<Reduction, master_t<T>>(row, cols, f, in...));
    });
  }

  /// out[c] += sum over r of f(in(r, c)...), rows in order. `rows` is the extent of r.
  template <class T, class F, class... In>
  static void column_reduce(View<T> out, Index rows, F f, In... in) {
    const Index narrow = tile_elements / std::max<Index>(rows, 1);
    const Index width = std::max<Index>(pack_width, (narrow + pack_width - 1) / pack_width * pack_width);
    const std::array sums{Target<T>(out.data, rows, out.size(), 0)};  // every row of the block is added to the same
    cpu::over_blocks(rows, out.size(), rows, width,
                     [&](const cpu::Block& block) { cpu::map_block<Write::accumulate>(sums, block, f, in...); });
  }

  // ---- rows of a table
  /// y[n, :] = table[ids[n], :], as numbers of y's type.
  template <class T, class U>
  static void gather_rows(View<const std::int32_t> ids, View<const U> table, View<T> y) {
    const Index height = tile_elements / std::max<Index>(y.cols(), 1);
    cpu::over_blocks(ids.size(), y.cols(), height, y.cols(), [&](const cpu::Block& block) {
      for (Index n = block.row; n < block.row_end; ++n) {
        cpu::map_block<Write::assign>(std::array{Target<T>(y.middle_rows(n, 1))}, {0, 1, 0, y.cols()},
                                      formula::Identity{}, elements(table.middle_rows(ids.data[n], 1)));
      }
    });
  }
  /// dtable[ids[n], :] += dy[n, :], n in order for every column, so that equal ids add up in fixed order.
  template <class T, class U>
  static void scatter_add_rows(View<const std::int32_t> ids, View<const T> dy, View<U> dtable) {
    const Index rows = ids.size(), narrow = tile_elements / std::max<Index>(rows, 1);
    const Index width = std::max<Index>(pack_width, (narrow + pack_width - 1) / pack_width * pack_width);
    cpu::over_blocks(rows, dtable.cols(), rows, width, [&](const cpu::Block& block) {
      for (Index n = 0; n < rows; ++n) {
        cpu::map_block<Write::accumulate>(std::array{Target<U>(dtable.middle_rows(ids.data[n], 1))},
                                          {0, 1, block.col, block.col_end}, formula::Identity{},
                                          elements(dy.middle_rows(n, 1)));
      }
    });
  }

  // ---- matrix products
  /// c = a b (or c += a b) with the factors transposed as `product` says; all leading dimensions count as rows. Factors of
  /// bf16 are added up in float, and c holds either.
  template <class T, class C>
  static void gemm(Product product, View<const T> a, View<const T> b, View<C> c, Write write = Write::assign) {
    const bool add = write == Write::accumulate;
    const Index m = product == Product::tn ? a.cols() : a.rows();
    const Index k = product == Product::tn ? a.rows() : a.cols();
    const Index n = product == Product::nt ? b.rows() : b.cols();
    const cpu::Operand<T> left{a.data, a.cols(), product == Product::tn};
    const cpu::Operand<T> right{b.data, b.cols(), product == Product::nt};
    if constexpr (std::is_same_v<T, C>) {
      if (cpu::foreign_product<T> != nullptr && m * n * k >= cpu::foreign_product_from)
        return cpu::foreign_product<T>(m, n, k, left, right, add, c.data);
    }
    const cpu::ProductGrid grid(m, n, k, left.transposed, right.transposed, thread_pool().size(), cpu::tile_rate<T>());
    const auto compute = cpu::gemm_function<T, C>(m, k, left, right);
    const bool worth_flushing = m * n * k >= Index{1} << 16;
    parallel_for(grid.tiles(), cpu::gemm_bytes<T, C>(grid.height, grid.width, k), [&](Index tile, std::byte* panels) {
      const cpu::FlushSubnormals flush(worth_flushing);
      const Index row = tile / grid.across * grid.height, col = tile % grid.across * grid.width;
      compute(std::min(grid.height, m - row), std::min(grid.width, n - col), k, 1, left.from(row, 0),
              right.from(0, col), add, c.data + row * n + col, n, panels);
    });
  }
  /// c = addend + a b. The addend may be c.
  template <class T>
  static void gemm_add(Product product, View<const T> a, View<const T> b, View<const T> addend, View<T> c) {
    if (addend.data != c.data) copy(c.data, addend.data, static_cast<std::size_t>(c.size()) * sizeof(T));
    gemm(product, a, b, c, Write::accumulate);
  }

  /// Elements that make a tile worth a thread's attention.
  static constexpr Index tile_elements = 16384;
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
