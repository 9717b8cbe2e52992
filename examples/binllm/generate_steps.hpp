// SPDX-License-Identifier: MIT
/// What run_generate does, for those who instantiate it.
#pragma once
#include "generate_run.hpp"
#include "interruption.hpp"
#include "text_printer.hpp"

#include <binllm/infer/generate.hpp>

#include <utility>

namespace program {

/// The decoder takes the model, so that it need not keep two vocabularies.
template <class T, class Device, class F>
Generated continue_prompts(binllm::Llama<T, Device, F> model, const binllm::Tokenizer& tokenizer,
                           const GenerateJob& job) {
  std::vector<std::vector<std::int32_t>> ids;
  for (const std::string& prompt : job.prompts) ids.push_back(binllm::encode_prompt(tokenizer, prompt));
  const auto chosen = binllm::decoder_options(model.config, ids, job.options);
  binllm::Decoder<T, Device, F> decoder(std::move(model), chosen);
  note_interruption();
  TextPrinter printer(ids.size(), job.stream, job.shown);
  auto texts =
      binllm::generate_texts(decoder, tokenizer, ids, job.options, static_cast<binllm::TextReceiver*>(&printer));
  return {std::move(texts), decoder.memory()};
}

template <class T, class Device>
Generated run_generate(const ChosenModel& chosen, const binllm::Tokenizer& tokenizer, const GenerateJob& job) {
  Generated made;
  chosen.run<T, Device>([&](auto model) { made = continue_prompts(std::move(model), tokenizer, job); });
  return made;
}

}  // namespace program
