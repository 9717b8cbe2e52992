// SPDX-License-Identifier: MIT
/// The tensors of a model as its folder holds them: names, and the two passes of loading (check all, then read).
#pragma once
#include <binllm/device/cpu.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/folders/open_tensors.hpp>
#include <binllm/nn/module.hpp>
#include <binllm/packed/sign_row.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
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
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;

/// A visitor of tensors that stand beside a leaf.
template <class V>
struct Beside {
  V& visitor;
  std::string prefix;
  void bits(std::string_view name, auto& matrix) const { visitor.bits(prefix + std::string(name), matrix); }
  void values(std::string_view name, auto view) const { visitor.values(prefix + std::string(name), view); }
  void optional_values(std::string_view name, auto& tensor, const Shape& shape) const {
    visitor.optional_values(prefix + std::string(name), tensor, shape);
  }
};

/// "X.weight" -> "X."
[[nodiscard]] inline std::string beside(const std::string& name) { return name.substr(0, name.rfind('.') + 1); }

/// Other programs store rotary frequencies and causal masks; they follow from the configuration.
[[nodiscard]] inline bool is_derived(std::string_view name) {
  for (const std::string_view end : {"rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

/// The rows of query, key or value in a tensor that holds all three (DecoderNames).
struct FusedRows {
  std::string name;  ///< of that tensor, "X.query_key_value.weight"
  Index third;       ///< 0 query, 1 key, 2 value

  /// Of "X.query.weight" and the like; nothing of other tensors, and where the family has no such tensor.
  [[nodiscard]] static std::optional<FusedRows> of(const DecoderNames& names, std::string_view tensor);
  /// The first row of a head.
  [[nodiscard]] Index first(Index head, Index head_dim) const { return (3 * head + third) * head_dim; }
  /// The shape of the tensor where that of a third is given.
  [[nodiscard]] static Shape whole(const Shape& one) {
    return one.rank() == 1 ? Shape{3 * one[0]} : Shape{3 * one[0], one[1]};
  }
};
/// Tensors as other programs want them: query, key and value in one where the family has it so. What is made for that
/// lives in `memory`.
[[nodiscard]] std::vector<TensorSource> with_fused_rows(const ModelDescription& description,
                                                        const std::vector<TensorSource>& tensors,
                                                        std::vector<std::vector<std::byte>>& memory);

/// What is to be saved. Errors: value_not_finite, naming tensor and index.
void check_finite(std::span<const TensorSource> tensors, const std::filesystem::path& folder);

/// Calls the visitor for each tensor of a model as files hold it:
///   v.values(name, view)                     numbers of a parameter or tensor, floating point or whole
///   v.bits(name, matrix)                     rows of signs of a matrix that has set_row and get_row
///   v.optional_values(name, tensor, shape)   numbers that may be absent
///   v.rows_of_file(name, tensor)             a tensor of no rows, (0, ...), which takes as many as there are; optional
/// Leaves that are neither parameters nor tensors describe their own tensors, which stand beside the leaf: those of
/// "X.weight" are "X.signs", "X.scale", ...
template <class Model, class V>
void for_each_tensor(Model& model, V&& v) {
  for_each_leaf(
      "",
      [&](const std::string& name, auto& leaf) {
        using Leaf = std::remove_cvref_t<decltype(leaf)>;
        if constexpr (is_parameter<Leaf>) {
          if (leaf.size() > 0) v.values(name, leaf.value);
        } else if constexpr (is_tensor<Leaf>) {
          if (leaf.size() > 0) {
            v.values(name, leaf.view());
          } else if constexpr (requires { v.rows_of_file(name, leaf); }) {
            if (leaf.shape().rank() > 0) v.rows_of_file(name, leaf);
          }
        } else {
          Leaf::visit_tensors(Beside<std::remove_reference_t<V>>{v, beside(name)}, leaf);
        }
      },
      model);
}

/// Reads the tensors of a model. First `expect` every tensor, then `check` all of them at once, then `read` each once:
/// its pages of the file go when it has been read.
class TensorLoader {
 public:
  /// Errors: those of open_tensors; tensors_mismatched where the file is far too small for the configuration, so that a
  /// damaged number never becomes an allocation.
  TensorLoader(const std::filesystem::path& folder, const ModelDescription& description);

  [[nodiscard]] bool has(std::string_view name) const noexcept { return file_->find(name) != nullptr; }
  /// The shape (0, ...) with as many rows as a tensor that the file has, where that is alike otherwise.
  [[nodiscard]] Shape with_rows_of_file(const std::string& name, const Shape& shape) const;
  /// A tensor of numbers: floating point ones in any width, whole ones in their own; or one of bytes with `cols` bits a
  /// row.
  /// Query, key and value may stand in one tensor, in full precision files they have to, where the family has it so.
  void expect_values(const std::string& name, const Shape& shape, DType dtype);
  void expect_signs(const std::string& name, const Shape& shape, Index cols);
  /// A tensor that may be absent and must otherwise repeat the values of `original`.
  void expect_copy(const std::string& name, const std::string& original);

  /// Errors: tensors_mismatched, listing every tensor that is missing, not wanted, or of another shape or type.
  void check() const;

  /// Errors: value_not_finite with file, tensor and index; header_invalid where the checksum does not hold.
  void read(const std::string& name, View<float> to) const;
  void read(const std::string& name, View<double> to) const;
  void read(const std::string& name, View<std::uint8_t> to) const;
  void read(const std::string& name, View<std::int32_t> to) const;
  /// Hands the bytes of a tensor of whole numbers to f. Errors: header_invalid where the checksum does not hold.
  template <class F>
  void read_bytes(const std::string& name, F&& f) const {
    const TensorInfo& tensor = *file_->find(name);
    file_->verify(tensor);
    f(file_->bytes(tensor));
    file_->release(tensor);
  }

 private:
  struct Expected {
    std::string name;
    Shape shape;
    Index sign_cols;  ///< 0 for numbers
    DType dtype;
  };
  [[nodiscard]] std::string mismatch(const Expected& expected) const;
  [[nodiscard]] std::string unequal_copy() const;
  [[nodiscard]] std::optional<FusedRows> fused(const std::string& name) const;
  template <class T>
  void read_numbers(const std::string& name, View<T> to) const;

  std::unique_ptr<TensorFile> file_;
  DecoderNames names_;
  Index head_dim_;
  bool full_precision_;
  std::vector<Expected> expected_;
  std::string copy_, original_;
};

/// Visitors of `for_each_tensor`.
struct ExpectTensors {
  TensorLoader& loader;
  template <class T>
  void values(const std::string& name, View<T> view) const {
    loader.expect_values(name, view.shape, dtype_of<std::remove_const_t<T>>);
  }
  template <class Matrix>
  void bits(const std::string& name, const Matrix& matrix) const {
    loader.expect_signs(name, {matrix.rows(), sign_row_bytes(matrix.cols)}, matrix.cols);
  }
  /// What the file has gets its memory.
  template <class T>
  void optional_values(const std::string& name, Tensor<T>& tensor, const Shape& shape) const {
    if (!loader.has(name)) return;
    tensor = Tensor<T>(shape);
    values(name, tensor.view());
  }
  /// Another shape than (rows, ...) is expected in vain, and so a mismatch.
  template <class T>
  void rows_of_file(const std::string& name, Tensor<T>& tensor) const {
    if (!loader.has(name)) return;
    const Shape shape = loader.with_rows_of_file(name, tensor.shape());
    if (shape.size() > 0) tensor = Tensor<T>(shape);
    loader.expect_values(name, shape, dtype_of<T>);
  }
};
struct ReadTensors {
  const TensorLoader& loader;
  template <class T>
  void values(const std::string& name, View<T> view) const {
    loader.read(name, view);
  }
  template <class Matrix>
  void bits(const std::string& name, Matrix& matrix) const {
    loader.read_bytes(name, [&](std::span<const std::byte> bytes) {
      const auto* const rows = reinterpret_cast<const std::uint8_t*>(bytes.data());
      for (Index i = 0; i < matrix.rows(); ++i) matrix.set_row(i, rows + i * sign_row_bytes(matrix.cols));
    });
  }
  template <class T>
  void optional_values(const std::string& name, Tensor<T>& tensor, const Shape&) const {
    if (tensor) loader.read(name, tensor.view());
  }
};
struct CollectTensors {
  std::vector<TensorSource>& tensors;
  std::vector<Tensor<std::uint8_t>>& rows;  ///< signs in the layout of files, which live here
  template <class T>
  void values(const std::string& name, View<T> view) const {
    tensors.push_back({name, dtype_of<std::remove_const_t<T>>, view.shape, view.data});
  }
  template <class Matrix>
  void bits(const std::string& name, const Matrix& matrix) const {
    const Index row_bytes = sign_row_bytes(matrix.cols);
    const auto packed = rows.emplace_back(Shape{matrix.rows(), row_bytes}).view();
    for (Index i = 0; i < matrix.rows(); ++i) matrix.get_row(i, packed.data + i * row_bytes);
    values(name, read(packed));
  }
  template <class T>
  void optional_values(const std::string& name, const Tensor<T>& tensor, const Shape&) const {
    if (tensor) values(name, tensor.view());
  }
};

}  // namespace binllm::detail
