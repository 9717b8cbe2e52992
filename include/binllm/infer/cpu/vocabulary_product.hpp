// SPDX-License-Identifier: MIT
/// Products with a vocabulary on the CPU. For one token memory sets the pace: rows are read one behind the other, each
/// once for all tokens. A private tail of infer/vocabulary_product.hpp; the generic kernels there are the definition.
#pragma once
#include <binllm/infer/cpu/vocabulary_rows.hpp>

#include <type_traits>
#include <utility>

namespace binllm {

namespace cpu {

/// y[n, first + r] for rows [first, first + count) and `count` tokens at a time, for as many as `Rows` takes at once.
template <class Rows, Index most = Rows::most_tokens>
void multiply_tokens(const typename Rows::Matrix& w, Index first, Index count, const typename Rows::Number* x,
                     const float* scale, Index tokens, float* y, Index y_stride) {
  const Index width = w.width();
  for (; tokens >= most; tokens -= most, x += most * width, scale += most, y += most * y_stride)
    Rows::multiply(w, first, count, x, scale, y, y_stride, std::make_integer_sequence<int, int(most)>{});
  if constexpr (most > 1) multiply_tokens<Rows, most / 2>(w, first, count, x, scale, tokens, y, y_stride);
}

/// All logits. `memory` holds vocabulary_workspace bytes.
template <class Rows>
void multiply_rows(const typename Rows::Matrix& w, View<const float> x, std::byte* memory, View<float> y) {
  using Number = typename Rows::Number;
  constexpr Index tile_bytes = Index{1} << 17, few = 16;  // rows that stay in the cache from one token to the next
  const Index width = w.width(), tokens = x.rows(), vocabulary = y.cols();
  auto* const scale = reinterpret_cast<float*>(memory);
  auto* const numbers = reinterpret_cast<Number*>(memory + (tokens * Index(sizeof(float)) + 63) / 64 * 64);
  for (Index n = 0; n < tokens; ++n) scale[n] = Rows::prepare(x.data + n * w.cols, w.cols, numbers + n * width, width);
  const Index height = std::max(few, tile_bytes / (width * Index(sizeof(*w.values.view().data))));
  parallel_for((vocabulary + height - 1) / height, [&](Index tile) {
    const Index end = std::min(vocabulary, (tile + 1) * height);
    for (Index first = tile * height; first < end; first += few)
      multiply_tokens<Rows>(w, first, std::min(few, end - first), numbers, scale, tokens, y.data + first, vocabulary);
  });
}

[[nodiscard]] inline Index vocabulary_workspace(Index width, Index tokens) {
  constexpr Index bytes = sizeof(float);  // and no number of a prepared token is larger
  return (tokens * bytes + 63) / 64 * 64 + tokens * width * bytes;
}

}  // namespace cpu

template <>
struct Kernel<Bf16RowsProduct, Cpu> : GenericKernel<Bf16RowsProduct, Cpu> {
  static Index workspace(Index width, Index tokens) { return cpu::vocabulary_workspace(width, tokens); }
  template <class T>
  static void forward(const Bf16Rows<Cpu>& w, View<const T> x, View<std::byte> memory, View<T> y) {
    if constexpr (std::is_same_v<T, float>) {
      cpu::with_bf16_rows([&](auto rows) { cpu::multiply_rows<decltype(rows)>(w, x, memory.data, y); });
    } else {
      GenericKernel<Bf16RowsProduct, Cpu>::forward(w, x, memory, y);
    }
  }
};

template <>
struct Kernel<Int8RowsProduct, Cpu> : GenericKernel<Int8RowsProduct, Cpu> {
  static Index workspace(Index width, Index tokens) { return cpu::vocabulary_workspace(width, tokens); }
  template <class T>
  static void forward(const Int8Rows<Cpu>& w, View<const T> x, View<std::byte> memory, View<T> y) {
    if constexpr (std::is_same_v<T, float>) {
      cpu::with_int8_rows([&](auto rows) { cpu::multiply_rows<decltype(rows)>(w, x, memory.data, y); });
    } else {
      GenericKernel<Int8RowsProduct, Cpu>::forward(w, x, memory, y);
    }
  }
};

}  // namespace binllm
