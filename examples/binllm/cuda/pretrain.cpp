// SPDX-License-Identifier: MIT
#include "../pretrain_steps.hpp"

namespace program {

template PretrainResult run_pretrain<float, binllm::Cuda>(binllm::Llama<float>&, const PretrainJob&, Progress&);
template PretrainResult run_pretrain<binllm::bf16, binllm::Cuda>(binllm::Llama<float>&, const PretrainJob&, Progress&);

}  // namespace program
