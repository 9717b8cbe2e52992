// SPDX-License-Identifier: MIT
/// The tensors of a model as its folder holds them: names, and the two passes of loading (check all, then read).
#pragma once
#include <binllm/device/cpu.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/models/config.hpp>
#include <binllm/nn/module.hpp>
#include <binllm/packed/packed_matrix.hpp>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace binllm::detail {

template <class T>
inline constexpr DType dtype_of = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;

/// The name of a part beside "X.weight": "X.signs", "X.scale", "X.input_scale".
[[nodiscard]] inline std::string beside_weight(const std::string& weight, std::string_view part) {
  return weight.substr(0, weight.size() - std::string_view("weight").size()).append(part);
}

/// Calls v.values(name, view) for each tensor of floating point numbers, v.signs(name, matrix) for each packed matrix.
template <class Model, class V>
void for_each_tensor(Model& model, V&& v) {
  for_each_leaf(
      "",
      [&](const std::string& name, auto& leaf) {
        if constexpr (is_parameter<std::remove_cvref_t<decltype(leaf)>>) {
          if (leaf.size() > 0) v.values(name, leaf.value);
        } else {
          v.signs(beside_weight(name, "signs"), leaf);
          v.values(beside_weight(name, "scale"), leaf.scale.view());
          if (leaf.input_scale) v.values(beside_weight(name, "input_scale"), leaf.input_scale.view());
        }
      },
      model);
}

/// Reads model.safetensors of a folder. First `expect` every tensor, then `check` the whole file at once, then `read`.
class TensorLoader {
 public:
  /// Errors: those of SafetensorsFile; tensors_mismatched where the file is far too small for the configuration, so
  /// that a damaged number never becomes an allocation.
  TensorLoader(const std::filesystem::path& folder, const LlamaConfig& config);

  [[nodiscard]] bool has(std::string_view name) const noexcept { return file_.find(name) != nullptr; }
  /// A tensor of floating point numbers, or one of bytes with `cols` bits a row.
  void expect_values(const std::string& name, const Shape& shape);
  void expect_signs(const std::string& name, const Shape& shape, Index cols);
  /// A tensor that may be absent and must otherwise repeat the values of `original`.
  void expect_copy(const std::string& name, const std::string& original);

  /// Errors: tensors_mismatched, listing every tensor that is missing, not wanted, or of another shape or type.
  void check() const;

  /// Errors: value_not_finite with file, tensor and index.
  void read(const std::string& name, View<float> to) const;
  void read(const std::string& name, View<double> to) const;
  /// The bytes of a tensor in the file.
  [[nodiscard]] std::span<const std::byte> bytes(const std::string& name) const;

 private:
  struct Expected {
    std::string name;
    Shape shape;
    Index sign_cols;  ///< 0 for floating point numbers
  };
  [[nodiscard]] std::string mismatch(const Expected& expected) const;
  [[nodiscard]] std::string unequal_copy() const;

  SafetensorsFile file_;
  std::vector<Expected> expected_;
  std::string copy_, original_;
};

/// Visitors of `for_each_tensor`.
struct ExpectTensors {
  TensorLoader& loader;
  template <class T>
  void values(const std::string& name, View<T> view) const {
    loader.expect_values(name, view.shape);
  }
  template <class T>
  void signs(const std::string& name, const PackedMatrix<T>& matrix) const {
    loader.expect_signs(name, {matrix.rows(), sign_row_bytes(matrix.cols)}, matrix.cols);
  }
};
struct ReadTensors {
  const TensorLoader& loader;
  template <class T>
  void values(const std::string& name, View<T> view) const {
    loader.read(name, view);
  }
  template <class T>
  void signs(const std::string& name, PackedMatrix<T>& matrix) const {
    const auto* const rows = reinterpret_cast<const std::uint8_t*>(loader.bytes(name).data());
    for (Index i = 0; i < matrix.rows(); ++i) matrix.set_row(i, rows + i * sign_row_bytes(matrix.cols));
  }
};
struct CollectTensors {
  std::vector<TensorSource>& tensors;
  std::vector<Tensor<std::uint8_t>>& rows;  ///< signs in the layout of files, which live here
  template <class T>
  void values(const std::string& name, View<T> view) const {
    tensors.push_back({name, dtype_of<std::remove_const_t<T>>, view.shape, view.data});
  }
  template <class T>
  void signs(const std::string& name, const PackedMatrix<T>& matrix) const {
    const Index row_bytes = sign_row_bytes(matrix.cols);
    const auto bits = rows.emplace_back(Shape{matrix.rows(), row_bytes}).view();
    for (Index i = 0; i < matrix.rows(); ++i) matrix.get_row(i, bits.data + i * row_bytes);
    values(name, read(bits));
  }
};

}  // namespace binllm::detail
