// SPDX-License-Identifier: MIT
#include "../pretrain_steps.hpp"

namespace program {

template PretrainResult run_pretrain<float, binllm::Cpu>(binllm::Llama<float>&, const PretrainJob&, Progress&);

}  // namespace program
