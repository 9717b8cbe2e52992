// SPDX-License-Identifier: MIT
#include <binllm/io/any/models_on.hpp>

const binllm::detail::AnyModels& binllm::detail::models_of_cpu(Precision precision) {
  static const ModelsOn<float, Cpu> in_float;
  static const ModelsOn<bf16, Cpu> in_bf16;
  if (precision == Precision::bf16) return in_bf16;
  return in_float;
}
