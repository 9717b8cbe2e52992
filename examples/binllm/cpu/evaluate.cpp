// SPDX-License-Identifier: MIT
#include "../evaluate_steps.hpp"

namespace program {

template Judgement run_evaluate<float, binllm::Cpu>(const ChosenModel&, const binllm::TokenStream&,
                                                    binllm::PerplexityOptions);

}  // namespace program
