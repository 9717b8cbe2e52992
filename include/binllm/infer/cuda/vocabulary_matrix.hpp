// SPDX-License-Identifier: MIT
/// The vocabulary of a model on a GPU: in the scalar type that the model computes in, as training reads it. A private
/// tail of infer/vocabulary_matrix.hpp.
#pragma once
#include <binllm/device/cuda.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/in_compute_type.hpp>

namespace binllm {

/// Master weights (V,C) are borrowed, and must outlive the matrix. Where T is smaller than they are, rows are gathered
/// from them and rounded, and products read a copy that was rounded once.
template <class T>
class VocabularyMatrix<T, Cuda> {
 public:
  using Master = master_t<T>;

  VocabularyMatrix() = default;
  /// Errors: rank_unsupported, empty_tensor, out_of_memory; option_out_of_range for another precision than float32,
  /// "the model's own weights".
  VocabularyMatrix(View<const Master, Cuda> weights, VocabularyPrecision precision) : borrowed_(weights) {
    check_rank("VocabularyMatrix", "weights", weights.shape, 2);
    check_not_empty("VocabularyMatrix", "weights", weights.shape);
    if (precision != VocabularyPrecision::float32) {
      throw Error(ErrorId::option_out_of_range, "VocabularyMatrix", "precision", "float on this device",
                  name_of(precision));
    }
    if constexpr (!std::is_same_v<T, Master>) {
      rounded_ = Tensor<T, Cuda>(weights.shape);
      Kernel<Conversion, Cuda>::forward(weights, rounded_.view());
    }
  }
  [[nodiscard]] VocabularyPrecision precision() const noexcept { return VocabularyPrecision::float32; }
  [[nodiscard]] const Shape& shape() const noexcept { return borrowed_.shape; }
  /// Bytes of its own, none where it borrows.
  [[nodiscard]] std::size_t bytes() const noexcept { return static_cast<std::size_t>(rounded_.size()) * sizeof(T); }

  /// y[n,:] = W[ids[n],:]. Ids are below V.
  void gather(View<const std::int32_t, Cuda> ids, View<T, Cuda> y) const {
    Kernel<Embedding, Cuda>::forward(ids, borrowed_, y);
  }
  /// No working memory.
  [[nodiscard]] Index workspace(Index) const { return 0; }
  /// y (n,V) = x (n,C) W^T, with sums and results in the master type.
  void logits(View<const T, Cuda> x, View<std::byte, Cuda>, View<Master, Cuda> y) const {
    if constexpr (std::is_same_v<T, Master>) {
      Backend<Cuda>::gemm(Product::nt, x, borrowed_, y);
    } else {
      Backend<Cuda>::gemm(Product::nt, x, rounded_.view(), y);
    }
  }

 private:
  View<const Master, Cuda> borrowed_;
  Tensor<T, Cuda> rounded_;
};

}  // namespace binllm
