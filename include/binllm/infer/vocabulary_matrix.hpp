// SPDX-License-Identifier: MIT
/// A vocabulary for inference: embedding and output head from one matrix or two, in fewer bits than they were trained
/// in.
///   rows of ids   y[n] = W[id_n]
///   logits        y[n,i] = sum_j W_ij x[n,j]
/// bfloat16: W rounded to nearest even; x and the sums are float.
/// int8: rows of W, and x token by token, as
///   W_ij   = s_i q_ij,   s_i = max_j |W_ij| / 127
///   x[n,j] = r_n p_nj    alike
/// The sum of q p is exact, so logits do not depend on the order, the instructions, or the other tokens.
/// Shapes   W (V,C), x (n,C), logits (n,V).
#pragma once
#include <binllm/core/check.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/infer/rounded_vocabulary.hpp>
#include <binllm/infer/vocabulary_product.hpp>
#include <binllm/nn/vocabulary_precision.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace binllm {

/// Weights (V,C) of one precision. In float they are borrowed, else copied; the rows of a copy are filled up with zeros
/// to whole vectors.
template <class T, class Device = Cpu>
class VocabularyMatrix {
 public:
  static_assert(std::is_same_v<T, master_t<T>>, "a vocabulary in float is multiplied as it is");

  VocabularyMatrix() = default;
  /// Float weights must outlive the matrix.
  /// Errors: rank_unsupported, empty_tensor, out_of_memory; config_inconsistent for int8 sums that 32 bits do not hold,
  /// above 2^16 columns; option_out_of_range for fewer bits than a float where the host cannot read the weights.
  VocabularyMatrix(View<const T, Device> weights, VocabularyPrecision precision)
      : precision_(precision), shape_(weights.shape) {
    check_rank("VocabularyMatrix", "weights", weights.shape, 2);
    check_not_empty("VocabularyMatrix", "weights", weights.shape);
    if (precision == VocabularyPrecision::int8 && shape_[1] > (Index{1} << 16)) {
      throw Error(ErrorId::config_inconsistent, "VocabularyMatrix", "columns", "at most 2^16 for int8",
                  fmt::format("{}", shape_[1]));
    }
    if (precision != VocabularyPrecision::float32 && !host_accessible<Device>) {
      throw Error(ErrorId::option_out_of_range, "VocabularyMatrix", "precision", "float on this device",
                  name_of(precision));
    }
    switch (precision) {
      case VocabularyPrecision::float32:
        borrowed_ = weights;
        break;
      case VocabularyPrecision::bfloat16:
        halves_ = Bf16Rows<Device>(shape_[0], shape_[1]);
        for_rows(weights, [&](Index i, const T* row) { halves_.set_row(i, row); });
        break;
      case VocabularyPrecision::int8:
        bytes_ = Int8Rows<Device>(shape_[0], shape_[1]);
        for_rows(weights, [&](Index i, const T* row) { bytes_.set_row(i, row); });
        break;
    }
  }
  [[nodiscard]] VocabularyPrecision precision() const noexcept { return precision_; }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  /// Bytes of its own, none where it borrows.
  [[nodiscard]] std::size_t bytes() const noexcept { return halves_.bytes() + bytes_.bytes(); }

  /// y[n,:] = W[ids[n],:]. Ids are below V.
  void gather(View<const std::int32_t, Device> ids, View<T, Device> y) const {
    switch (precision_) {
      case VocabularyPrecision::float32:
        return Backend<Device>::gather_rows(ids, borrowed_, y);
      case VocabularyPrecision::bfloat16:
        return Kernel<Bf16RowsProduct, Device>::gather(halves_, ids, y);
      case VocabularyPrecision::int8:
        return Kernel<Int8RowsProduct, Device>::gather(bytes_, ids, y);
    }
  }
  /// Bytes of working memory for the logits of n tokens.
  [[nodiscard]] Index workspace(Index tokens) const {
    switch (precision_) {
      case VocabularyPrecision::float32:
        return 0;
      case VocabularyPrecision::bfloat16:
        return Kernel<Bf16RowsProduct, Device>::workspace(halves_.width(), tokens);
      case VocabularyPrecision::int8:
        return Kernel<Int8RowsProduct, Device>::workspace(bytes_.width(), tokens);
    }
    return 0;
  }
  /// y (n,V) = x (n,C) W^T; `memory` holds workspace(n) bytes, aligned to 64.
  void logits(View<const T, Device> x, View<std::byte, Device> memory, View<T, Device> y) const {
    switch (precision_) {
      case VocabularyPrecision::float32:
        return Backend<Device>::gemm(Product::nt, x, borrowed_, y);
      case VocabularyPrecision::bfloat16:
        return Kernel<Bf16RowsProduct, Device>::forward(halves_, x, memory, y);
      case VocabularyPrecision::int8:
        return Kernel<Int8RowsProduct, Device>::forward(bytes_, x, memory, y);
    }
  }

 private:
  template <class SetRow>
  void for_rows(View<const T, Device> weights, const SetRow& set_row) {
    constexpr Index rows = 256;
    parallel_for((shape_[0] + rows - 1) / rows, [&](Index tile) {
      for (Index i = tile * rows; i < std::min(shape_[0], (tile + 1) * rows); ++i)
        set_row(i, weights.data + i * shape_[1]);
    });
  }

  VocabularyPrecision precision_ = VocabularyPrecision::float32;
  Shape shape_;
  View<const T, Device> borrowed_;
  Bf16Rows<Device> halves_;
  Int8Rows<Device> bytes_;
};

template <class T>
class VocabularyMatrix<T, Cuda> : public RoundedVocabulary<T, Cuda> {
  using RoundedVocabulary<T, Cuda>::RoundedVocabulary;
};
template <>
class VocabularyMatrix<bf16, Cpu> : public RoundedVocabulary<bf16, Cpu> {
  using RoundedVocabulary<bf16, Cpu>::RoundedVocabulary;
};

}  // namespace binllm
