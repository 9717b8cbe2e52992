// SPDX-License-Identifier: MIT
#include "../evaluate_steps.hpp"

namespace program {

template Judgement run_evaluate<float, binllm::Cuda>(const ChosenModel&, const binllm::TokenStream&,
                                                     binllm::PerplexityOptions);
template Judgement run_evaluate<binllm::bf16, binllm::Cuda>(const ChosenModel&, const binllm::TokenStream&,
                                                            binllm::PerplexityOptions);

}  // namespace program
