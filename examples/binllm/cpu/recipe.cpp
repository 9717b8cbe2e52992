// SPDX-License-Identifier: MIT
#include "../recipe_steps.hpp"

namespace program {

template std::vector<ResultRow> run_recipe<float, binllm::Cpu>(binllm::Llama<float>&, const fs::path&, const RecipeJob&,
                                                               Progress&);

}  // namespace program
