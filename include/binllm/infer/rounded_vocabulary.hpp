// SPDX-License-Identifier: MIT
/// The vocabulary of a model on a GPU, or that computes in bf16: in the scalar type that the model computes in, as
/// training reads it.
#pragma once
#include <binllm/nn/vocabulary_precision.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/in_compute_type.hpp>

namespace binllm {

/// In float, master weights (V,C) are borrowed and must outlive the matrix: rows are gathered from them and rounded to T,
/// and where T is smaller than they are, products read a copy that was rounded once. In bfloat16, which models in bf16
/// have with the same results, rows come from that copy too, and the master weights need not live on.
template <class T, class Device>
class RoundedVocabulary {
 public:
  using Master = master_t<T>;

  RoundedVocabulary() = default;
  [[nodiscard]] static constexpr bool has(VocabularyPrecision precision) noexcept {
    return precision == VocabularyPrecision::float32 ||
           (precision == VocabularyPrecision::bfloat16 && std::is_same_v<T, bf16>);
  }
  /// Errors: rank_unsupported, empty_tensor, out_of_memory; option_out_of_range for a precision that it does not have.
  RoundedVocabulary(View<const Master, Device> weights, VocabularyPrecision precision)
      : precision_(precision), borrowed_(weights) {
    check_rank("VocabularyMatrix", "weights", weights.shape, 2);
    check_not_empty("VocabularyMatrix", "weights", weights.shape);
    if (!has(precision)) {
      throw Error(ErrorId::option_out_of_range, "VocabularyMatrix", "precision",
                  std::is_same_v<T, bf16> ? "float or bf16 for a model in bf16" : "float on this device",
                  name_of(precision));
    }
    if (weights.cols() % 2 != 0) precision_ = VocabularyPrecision::float32;  // rows of bf16 are moved in pairs
    if constexpr (!std::is_same_v<T, Master>) {
      rounded_ = Tensor<T, Device>(weights.shape);
      Kernel<Conversion, Device>::forward(weights, rounded_.view());
    }
  }
  [[nodiscard]] VocabularyPrecision precision() const noexcept { return precision_; }
  [[nodiscard]] const Shape& shape() const noexcept { return borrowed_.shape; }
  /// Bytes of its own, none where it borrows.
  [[nodiscard]] std::size_t bytes() const noexcept { return static_cast<std::size_t>(rounded_.size()) * sizeof(T); }

  /// y[n,:] = W[ids[n],:]. Ids are below V.
  void gather(View<const std::int32_t, Device> ids, View<T, Device> y) const {
    if (precision_ == VocabularyPrecision::float32) return Kernel<Embedding, Device>::forward(ids, borrowed_, y);
    if constexpr (host_accessible<Device>) {
      Backend<Device>::gather_rows(ids, read(rounded_.view()), y);
    } else {  // rows are moved as they are, two numbers as one
      using Pairs = View<const float, Device>;
      const Index pairs = y.cols() / 2;
      Kernel<Embedding, Device>::forward(
          ids, Pairs(reinterpret_cast<const float*>(rounded_.view().data), Shape{borrowed_.shape[0], pairs}),
          View<float, Device>(reinterpret_cast<float*>(y.data), y.shape.with_cols(pairs)));
    }
  }
  /// No working memory.
  [[nodiscard]] Index workspace(Index) const { return 0; }
  /// y (n,V) = x (n,C) W^T, with sums and results in the master type.
  void logits(View<const T, Device> x, View<std::byte, Device>, View<Master, Device> y) const {
    if constexpr (std::is_same_v<T, Master>) {
      Backend<Device>::gemm(Product::nt, x, borrowed_, y);
    } else {
      Backend<Device>::gemm(Product::nt, x, rounded_.view(), y);
    }
  }

 private:
  VocabularyPrecision precision_ = VocabularyPrecision::float32;
  View<const Master, Device> borrowed_;
  Tensor<T, Device> rounded_;
};

}  // namespace binllm
