// SPDX-License-Identifier: MIT
#include <binllm/io/any/models_on.hpp>

const binllm::detail::AnyModels& binllm::detail::models_of_cpu() {
  static const ModelsOn<float, Cpu> models;
  return models;
}
