// SPDX-License-Identifier: MIT
#include <binllm/io/any/model_of.hpp>

namespace binllm::detail {

AnyModel::Interface::Made on_cpu(HostModel&& model) { return placed<float, Cpu>(std::move(model)); }

}  // namespace binllm::detail
