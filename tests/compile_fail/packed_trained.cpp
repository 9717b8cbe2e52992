// expect: Trainable
// SPDX-License-Identifier: MIT
#include <binllm/models/llama.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/train/loop.hpp>

using namespace binllm;

#ifdef VALID
using F = Dense;
#else
using F = Packed;
#endif

void fit(Llama<float, Cpu, F>& model, const TokenStream& corpus, Phase& phase, RunLog& log) {
  static_cast<void>(train(model, corpus, TrainingOptions{}, phase, log));
}
