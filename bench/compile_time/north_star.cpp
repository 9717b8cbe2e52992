// SPDX-License-Identifier: MIT
// The program that the library is designed around, as a measure of what a user's unit costs to compile.
#include <binllm/binllm.hpp>
#include <binllm/io.hpp>

#include <fmt/core.h>

namespace bl = binllm;

using Recipe = bl::Recipe<       // every choice of the paper is a type
    bl::ProgressiveSign<float>,  // F(x, t) = tanh(t x) / tanh(t)          Eq. 4-6
    bl::DualScale<float>,        // S_l S_a, one pair per output row       Eq. 9
    bl::ChannelScale<float>,     // S_t per input channel                  Eq. 8, 11
    bl::ExponentialSchedule>;    // t(c) = 1.3 e^(0.22 c) - 1.3            App. A, F

int main() {
  auto [model, tokenizer] = bl::load_pretrained<bl::Llama<float>>("models/smollm-135m");
  auto corpus = bl::TokenStream::from_text("corpus.txt", tokenizer);

  auto binary = bl::binarize<Recipe>(model);                // Llama<float, Cpu, Binary<Recipe>>
  bl::search_channel_scale(binary, corpus, {.steps = 50});  // stage 1
  bl::train_progressively(binary, corpus, {});              // stage 2

  auto packed = bl::pack(binary);  // Llama<float, Cpu, Packed>: 1 bit per weight
  bl::save(packed, "smollm-1bit");
  fmt::print("{}\n", bl::generate(packed, tokenizer, "Once upon a time", {.max_tokens = 64}));
}
