// SPDX-License-Identifier: MIT
/// Continuations of prompts by a model folder on the chosen device.
#pragma once
#include "chosen_model.hpp"

#include <binllm/infer/decoder_memory.hpp>
#include <binllm/infer/texts.hpp>

#include <string>
#include <vector>

namespace program {

struct GenerateJob {
  std::vector<std::string> prompts;
  binllm::GenerateOptions options;
  bool stream = true;  ///< texts are shown as they are made
  bool shown = true;
};

struct Generated {
  binllm::GeneratedTexts texts;
  binllm::DecoderMemory memory;
};

/// Shows texts on standard output. From the first token on SIGINT is noted, and ends all texts.
template <class T, class Device>
[[nodiscard]] Generated run_generate(const ChosenModel& chosen, const binllm::Tokenizer& tokenizer,
                                     const GenerateJob& job);

}  // namespace program
