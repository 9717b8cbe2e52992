// SPDX-License-Identifier: MIT
#include "../recipe_steps.hpp"

namespace program {

template std::vector<ResultRow> run_recipe<binllm::bf16, binllm::Cuda>(binllm::Llama<float>&, const fs::path&,
                                                                       const RecipeJob&, Progress&);

}  // namespace program
