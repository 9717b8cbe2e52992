// SPDX-License-Identifier: MIT
/// Everything that a reader offers of a file that it took.
#pragma once
#include "target.hpp"

#include <binllm/io/containers/tensor_file.hpp>

namespace binllm::fuzz {

/// Every tensor by name, its checksum, its bytes and its numbers.
inline void read_all(const TensorFile& file) {
  std::vector<float> numbers;
  std::vector<double> doubles;
  for (const TensorInfo& tensor : file.tensors()) {
    require(file.find(tensor.name) != nullptr, "a tensor is found under its name");
    require(file.bytes(tensor).size() == tensor.bytes && tensor.bytes <= file.file_bytes(), "its bytes are the file's");
    file.verify(tensor);
    if (is_floating(tensor.dtype)) {
      numbers.resize(static_cast<std::size_t>(tensor.shape.size()));
      doubles.resize(numbers.size());
      file.read(tensor, numbers);
      file.read(tensor, doubles);
    }
    file.release(tensor);
  }
}

}  // namespace binllm::fuzz
