// SPDX-License-Identifier: MIT
/// A device of the tests: every service is the loop that one would write first, one element at a time, in order, on one
/// thread. No kernel is specialised for it, so what runs on it are the definitions.
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/device/kernel.hpp>

#include <array>
#include <cstdlib>
#include <cstring>

namespace binllm {

namespace test {
struct Plain {};
}  // namespace test

template <>
inline constexpr bool host_accessible<test::Plain> = true;

template <>
struct Backend<test::Plain> {
  template <class T>
  using In = View<const T, test::Plain>;
  template <class T>
  using Out = View<T, test::Plain>;

  [[nodiscard]] static void* allocate(std::size_t bytes) { return Backend<Cpu>::allocate(bytes); }
  static void release(void* pointer) noexcept { Backend<Cpu>::release(pointer); }
  static void copy(void* to, const void* from, std::size_t bytes) noexcept {
    if (bytes > 0) std::memmove(to, from, bytes);
  }
  static void zero(void* pointer, std::size_t bytes) noexcept {
    if (bytes > 0) std::memset(pointer, 0, bytes);
  }
  static void synchronise() noexcept {}

  template <Write mode = Write::assign, class T, class F, class... Arguments>
  static void map(Out<T> out, F f, Arguments... in) {
    map<mode>(Target<T>(out), f, in...);
  }
  template <Write mode = Write::assign, class T, class F, class... Arguments>
  static void map(Target<T> out, F f, Arguments... in) {
    for (Index r = 0; r < out.rows; ++r) {
      for (Index c = 0; c < out.cols; ++c) {
        const master_t<T> value = f(in.template load<master_t<T>>(r, c)...);
        write<mode>(out.data[r * out.stride + c], value, out.fresh);
      }
    }
  }
  template <Write mode = Write::assign, class T, std::size_t count, class F, class... Arguments>
  static void map(std::array<Target<T>, count> outs, F f, Arguments... in) {
    for (Index r = 0; r < outs[0].rows; ++r) {
      for (Index c = 0; c < outs[0].cols; ++c) {
        const std::array<master_t<T>, count> values = f(in.template load<master_t<T>>(r, c)...);
        for (std::size_t k = 0; k < count; ++k) {
          if (outs[k].data != nullptr) write<mode>(outs[k].data[r * outs[k].stride + c], values[k], outs[k].fresh);
        }
      }
    }
  }
  template <class Reduction, class T, class F, class... Arguments>
  static void row_reduce(Out<T> out, Index cols, F f, Arguments... in) {
    for (Index r = 0; r < out.size(); ++r) {
      using M = master_t<T>;
      M total = Reduction::template neutral<M>;
      for (Index c = 0; c < cols; ++c) total = Reduction::combine(total, M(f(in.template load<M>(r, c)...)));
      out.data[r] = static_cast<T>(total);
    }
  }
  template <class T, class F, class... Arguments>
  static void column_reduce(Out<T> out, Index rows, F f, Arguments... in) {
    for (Index r = 0; r < rows; ++r) {
      for (Index c = 0; c < out.size(); ++c) out.data[c] += f(in.template load<T>(r, c)...);
    }
  }
  template <class T, class U>
  static void gather_rows(In<std::int32_t> ids, In<U> table, Out<T> y) {
    for (Index n = 0; n < ids.size(); ++n) {
      for (Index c = 0; c < y.cols(); ++c)
        y.data[n * y.cols() + c] = static_cast<T>(table.data[ids.data[n] * y.cols() + c]);
    }
  }
  template <class T, class U>
  static void scatter_add_rows(In<std::int32_t> ids, In<T> dy, Out<U> dtable) {
    for (Index n = 0; n < ids.size(); ++n) {
      for (Index c = 0; c < dy.cols(); ++c)
        dtable.data[ids.data[n] * dy.cols() + c] += static_cast<U>(dy.data[n * dy.cols() + c]);
    }
  }
  template <class T, class C>
  static void gemm(Product product, In<T> a, In<T> b, Out<C> c, Write mode = Write::assign) {
    const bool a_transposed = product == Product::tn, b_transposed = product == Product::nt;
    const Index rows = a_transposed ? a.cols() : a.rows(), cols = b_transposed ? b.rows() : b.cols();
    const Index inner = a_transposed ? a.rows() : a.cols();
    const Index a_row = a_transposed ? 1 : inner, a_step = a_transposed ? rows : 1;
    const Index b_step = b_transposed ? 1 : cols, b_col = b_transposed ? inner : 1;
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
        master_t<T> sum = 0;
        for (Index k = 0; k < inner; ++k) sum += a.data[i * a_row + k * a_step] * b.data[k * b_step + j * b_col];
        write<Write::accumulate>(c.data[i * cols + j], sum, mode == Write::assign);
      }
    }
  }
  template <class T>
  static void gemm_add(Product product, In<T> a, In<T> b, In<T> addend, Out<T> c) {
    copy(c.data, addend.data, static_cast<std::size_t>(c.size()) * sizeof(T));
    gemm(product, a, b, c, Write::accumulate);
  }

 private:
  template <Write mode, class T>
  static void write(T& target, master_t<T> value, bool fresh) {
    target = static_cast<T>(mode == Write::assign || fresh ? value : target + value);
  }
};
static_assert(Device<test::Plain>);

}  // namespace binllm
