// SPDX-License-Identifier: MIT
#include "../generate_steps.hpp"

namespace program {

template Generated run_generate<float, binllm::Cuda>(const ChosenModel&, const binllm::Tokenizer&, const GenerateJob&);
template Generated run_generate<binllm::bf16, binllm::Cuda>(const ChosenModel&, const binllm::Tokenizer&,
                                                            const GenerateJob&);

}  // namespace program
