// SPDX-License-Identifier: MIT
// Uses headers, binllm::io, and the libraries that it needs.
#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu.hpp>
#include <binllm/io/folders/tokenizer.hpp>

namespace bl = binllm;

int main() {
  bl::Tensor<float> x(bl::Shape{2, 3});
  x.view().flat().setConstant(2.0f);
  if (x.view().flat().sum() != 12.0f) return 1;
  try {
    (void)bl::load_tokenizer("not/there/tokenizer.json");
    return 2;
  } catch (const bl::Error& error) {
    return error.id() == bl::ErrorId::file_missing ? 0 : 3;
  }
}
