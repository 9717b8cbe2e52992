// SPDX-License-Identifier: MIT
/// Products on the calling thread, of whatever type the factors are.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/device/gemm/bf16/serial.hpp>
#include <binllm/device/gemm/grid.hpp>
#include <binllm/device/gemm/serial.hpp>

#include <cstddef>
#include <type_traits>

namespace binllm::cpu {

/// Bytes of panels with which one thread computes any product of at most these extents, with results of type C.
template <class T, class C = T>
[[nodiscard]] std::size_t gemm_bytes(Index m, Index n, Index k) {
  if constexpr (std::is_same_v<T, bf16>) {
    return SerialBf16Gemm<>::bytes<C>(m, n, k);
  } else {
    return SerialGemm<T>::bytes(m, n, k);
  }
}

template <class T>
[[nodiscard]] TileRate tile_rate() {
  if constexpr (std::is_same_v<T, bf16>) {
    const Bf16Kernel& kernel = bf16_kernel<>();
    return {kernel.rows, kernel.cols, kernel.multiplications};
  } else {
    return {8, 48, 28};
  }
}

/// What computes c(m, n) = alpha a(m, k) b(k, n), or += with `add`, on the calling thread:
///   function(m, n, k, alpha, a, b, add, c, c_stride, panels)
/// All tiles of a product are computed by the function of the whole.
template <class T, class C = T>
[[nodiscard]] auto gemm_function([[maybe_unused]] Index m, [[maybe_unused]] Index k,
                                 [[maybe_unused]] const Operand<T>& a, [[maybe_unused]] const Operand<T>& b) {
  if constexpr (std::is_same_v<T, bf16>) {
    return &SerialBf16Gemm<>::run<C>;
  } else {
    return is_thin(m, k, a, b) ? &gemm_thin<T> : &SerialGemm<T>::run;
  }
}
/// A product on the calling thread; `panels` holds gemm_bytes<T, C> of these extents or larger ones.
template <class T, class C>
void gemm_serial(Index m, Index n, Index k, master_t<T> alpha, Operand<T> a, Operand<T> b, bool add, C* c,
                 Index c_stride, void* panels) {
  gemm_function<T, C>(m, k, a, b)(m, n, k, alpha, a, b, add, c, c_stride, panels);
}

}  // namespace binllm::cpu
