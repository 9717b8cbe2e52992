// SPDX-License-Identifier: MIT
/// Matrices with one row a token in 16 and 8 bits, and their products: the parts of a VocabularyMatrix.
/// Each logit is a function of its row and its token alone: the same bits for any number of tokens and threads.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/packed/activations.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>

namespace binllm {

template <class Device>
struct Bf16Rows {
  static constexpr Index unit = 32;      ///< columns are filled up to a multiple of it
  Tensor<std::uint16_t, Device> values;  ///< (V, columns filled up)
  Index cols = 0;

  Bf16Rows() = default;
  Bf16Rows(Index row_count, Index col_count)
      : values(Shape{row_count, (col_count + unit - 1) / unit * unit}), cols(col_count) {}
  [[nodiscard]] Index width() const noexcept { return values.shape().cols(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return static_cast<std::size_t>(values.size()) * 2; }
  template <class T>
  void set_row(Index i, const T* from) {
    std::uint16_t* const to = values.view().data + i * width();
    for (Index j = 0; j < cols; ++j) to[j] = bf16_from_float(static_cast<float>(from[j]));
  }
};

template <class Device>
struct Int8Rows {
  static constexpr Index unit = 64;
  Tensor<std::int8_t, Device> values;  ///< (V, columns filled up)
  Tensor<float, Device> scale;         ///< (V)
  Tensor<std::int32_t, Device> total;  ///< (V), the sum of the row's values
  Index cols = 0;

  Int8Rows() = default;
  Int8Rows(Index row_count, Index col_count)
      : values(Shape{row_count, (col_count + unit - 1) / unit * unit}),
        scale(Shape{row_count}),
        total(Shape{row_count}),
        cols(col_count) {}
  [[nodiscard]] Index width() const noexcept { return values.shape().cols(); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(values.size() + 4 * scale.size() + 4 * total.size());
  }
  template <class T>
  void set_row(Index i, const T* from) {
    std::int8_t* const to = values.view().data + i * width();
    scale.view().data[i] = static_cast<float>(Int8Activations::load(from, cols, to));
    std::int32_t sum = 0;
    for (Index j = 0; j < cols; ++j) sum += to[j];
    total.view().data[i] = sum;
  }
};

struct Bf16RowsProduct {};
struct Int8RowsProduct {};

/// The definition, for devices whose memory the host reads.
template <class Device>
struct GenericKernel<Bf16RowsProduct, Device> {
  /// Bytes of working memory for rows of `width` numbers.
  static Index workspace(Index, Index) { return 0; }
  template <class T>
  static void gather(const Bf16Rows<Device>& w, View<const std::int32_t, Device> ids, View<T, Device> y) {
    for (Index n = 0; n < ids.size(); ++n) {
      const std::uint16_t* const row = w.values.view().data + ids.data[n] * w.width();
      for (Index j = 0; j < w.cols; ++j) y.data[n * w.cols + j] = static_cast<T>(float_from_bf16(row[j]));
    }
  }
  template <class T>
  static void forward(const Bf16Rows<Device>& w, View<const T, Device> x, View<std::byte, Device>, View<T, Device> y) {
    for (Index n = 0; n < x.rows(); ++n) {
      for (Index i = 0; i < y.cols(); ++i) {
        const std::uint16_t* const row = w.values.view().data + i * w.width();
        T sum = 0;
        for (Index j = 0; j < w.cols; ++j) sum += static_cast<T>(float_from_bf16(row[j])) * x.data[n * w.cols + j];
        y.data[n * y.cols() + i] = sum;
      }
    }
  }
};

template <class Device>
struct GenericKernel<Int8RowsProduct, Device> {
  static Index workspace(Index width, Index) { return width; }
  template <class T>
  static void gather(const Int8Rows<Device>& w, View<const std::int32_t, Device> ids, View<T, Device> y) {
    for (Index n = 0; n < ids.size(); ++n) {
      const std::int8_t* const row = w.values.view().data + ids.data[n] * w.width();
      const float scale = w.scale.view().data[ids.data[n]];
      for (Index j = 0; j < w.cols; ++j) y.data[n * w.cols + j] = static_cast<T>(scale * static_cast<float>(row[j]));
    }
  }
  template <class T>
  static void forward(const Int8Rows<Device>& w, View<const T, Device> x, View<std::byte, Device> memory,
                      View<T, Device> y) {
    auto* const p = reinterpret_cast<std::int8_t*>(memory.data);
    for (Index n = 0; n < x.rows(); ++n) {
      const auto scale = static_cast<float>(Int8Activations::load(x.data + n * w.cols, w.cols, p));
      for (Index i = 0; i < y.cols(); ++i) {
        const std::int8_t* const row = w.values.view().data + i * w.width();
        std::int32_t sum = 0;
        for (Index j = 0; j < w.cols; ++j) sum += std::int32_t{row[j]} * p[j];
        y.data[n * y.cols() + i] = static_cast<T>(static_cast<float>(sum) * (scale * w.scale.view().data[i]));
      }
    }
  }
};

}  // namespace binllm

#include <binllm/infer/cpu/vocabulary_product.hpp>
