// SPDX-License-Identifier: MIT
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/model_tensors.hpp>
#include <binllm/methods/formats.hpp>
#include <binllm/models/erased.hpp>

#include <algorithm>

namespace binllm {
namespace {

/// Visitor of for_each_tensor.
struct ListTensors {
  std::vector<ModelTensor>& tensors;
  template <class T>
  void values(const std::string& name, View<T> view) const {
    tensors.push_back({name, detail::dtype_of<std::remove_const_t<T>>, view.shape});
  }
  template <class Matrix>
  void bits(const std::string& name, const Matrix& matrix) const {
    tensors.push_back({name, DType::u8, {matrix.rows(), sign_row_bytes(matrix.cols)}, matrix.cols});
  }
  template <class T>
  void optional_values(const std::string& name, const Tensor<T>& tensor, const Shape&) const {
    if (tensor) values(name, tensor.view());
  }
};

}  // namespace

ModelTensors::ModelTensors(const std::filesystem::path& folder_or_file, const ModelDescription& description)
    : loader_(folder_or_file, description) {
  const auto format = format_named<float, Cpu>(description.format, description.recipe);
  detail::check_format(folder_or_file, description, format);
  with_family<void>(*description.family, [&]<class A>() {
    const auto model = detail::expect_as<ErasedModel<A, float, Cpu>>(loader_, description, format);
    detail::for_each_tensor(model, ListTensors{tensors_});
  });
}

const ModelTensor* ModelTensors::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

std::vector<float> ModelTensors::numbers(const ModelTensor& tensor) const {
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.size()));
  loader_.read(tensor.name, View<float>(values.data(), tensor.shape));
  return values;
}

std::vector<std::byte> ModelTensors::bytes(const ModelTensor& tensor) const {
  std::vector<std::byte> bytes;
  loader_.read_bytes(tensor.name,
                     [&](std::span<const std::byte> stored) { bytes.assign(stored.begin(), stored.end()); });
  return bytes;
}

}  // namespace binllm
