// SPDX-License-Identifier: MIT
/// The tensors of a GGUF file as its family's folders have them.
#pragma once
#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/folders/config.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// A GGUF file under the names of the family; `read` gives rows of W_q and W_k in its order, and W_q, W_k and W_v one by
/// one where the file has them in one tensor. What the family has no name for keeps its own, so that loading refuses it
/// by name. `bytes` are as the file has them. Errors: those of GgufFile; shape_mismatch for W_q or W_k whose rows are
/// not those of the configuration's heads.
class GgufModelTensors final : public TensorFile {
 public:
  GgufModelTensors(const std::filesystem::path& path, const ModelDescription& description);

  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept override { return tensors_; }
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept override;
  [[nodiscard]] std::span<const std::byte> bytes(const TensorInfo& tensor) const noexcept override {
    return file_.bytes(tensor);
  }
  void read(const TensorInfo& tensor, std::span<float> out) const override { read_as(tensor, out); }
  void read(const TensorInfo& tensor, std::span<double> out) const override { read_as(tensor, out); }
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return file_.path(); }
  [[nodiscard]] std::size_t file_bytes() const noexcept override { return file_.file_bytes(); }
  void release(const TensorInfo& tensor) const noexcept override { file_.release(tensor); }

 private:
  void add(TensorInfo tensor, const ModelDescription& description);
  template <class T>
  void read_as(const TensorInfo& tensor, std::span<T> out) const;

  GgufFile file_;
  Index head_dim_;
  std::vector<TensorInfo> tensors_;
  std::vector<Index> heads_;  ///< of each tensor, where its rows stand in another order
  std::map<std::string, std::size_t, std::less<>> by_name_;
};

}  // namespace binllm
