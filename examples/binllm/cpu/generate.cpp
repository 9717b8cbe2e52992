// SPDX-License-Identifier: MIT
#include "../generate_steps.hpp"

namespace program {

template Generated run_generate<float, binllm::Cpu>(const ChosenModel&, const binllm::Tokenizer&, const GenerateJob&);

}  // namespace program
