// SPDX-License-Identifier: MIT
#include "cuda/roofline.hpp"

#include <fmt/core.h>

#include <vector>

#include "cuda/step.hpp"

namespace binllm::bench {

namespace {

struct StepPart {
  std::string_view name;
  double operations, bytes;
};

/// What a step must compute and move, by op: each number that an op reads or writes counts once, and an op that the
/// step does twice (what backward computes again) counts twice. Activations are bf16, parameters floats. Each part is
/// bound by products or by memory alone.
std::vector<StepPart> step_parts(const TrainingShape& s, bool binary) {
  const auto tokens = static_cast<double>(s.tokens()), layers = static_cast<double>(s.layers);
  const auto layer_weights = layers * static_cast<double>(s.layer_weights());
  const auto head_weights = static_cast<double>(s.head_weights()), parameters = static_cast<double>(s.parameters());
  const double activations = tokens * static_cast<double>(s.dim), hidden = tokens * static_cast<double>(s.hidden);
  const double turned = tokens * static_cast<double>(s.dim + s.kv_dim());
  const double rows = s.rows_read() * static_cast<double>(s.dim);
  const double weight_bytes = binary ? 6 + 6 + 14 : 6 + 6;  // W_b or the cast one, twice; the gradient of W_b
  return {
      {"products of the layers", 6 * tokens * layer_weights, 0},
      {"attention", layers * (1 + 2.5) * s.attention_operations(), 0},
      {"products of the head", 6 * tokens * head_weights, 0},
      {"cross-entropy", 0, 4 * tokens * static_cast<double>(s.vocabulary)},  // logits become their gradient
      {binary ? "binarise, head's cast" : "weight casts", 0, weight_bytes * layer_weights + 6 * head_weights},
      // two in a layer, forward twice (x, y), backward once (x, dy, dx twice); the last norm once, its dx written
      {"norms", 0, (2 * layers * (4 + 4 + 8) + 4 + 6) * activations},
      {"swiglu", 0, layers * (6 + 6 + 10) * hidden},
      {"rotary", 0, layers * (4 + 4) * turned},
      {"embedding", 0, (2 + 2) * activations + (4 + 8) * rows},
      {"zeros, norm, AdamW", 0, (4 + 4 + 28) * parameters},
  };
}

StepSetting setting_of(const TrainingShape& s, bool binary) {
  LlamaConfig model;
  model.hidden_size = s.dim;
  model.num_hidden_layers = s.layers;
  model.num_attention_heads = s.heads;
  model.num_key_value_heads = s.kv_heads;
  model.head_dim = s.head_dim();
  model.intermediate_size = s.hidden;
  model.vocab_size = s.vocabulary;
  model.max_position_embeddings = s.context;
  return {model, s.batch, s.context, 0, binary, false, 15};
}

}  // namespace

void print_step(const TrainingShape& shape, bool binary, const Ceilings& ceilings, bool json) {
  const auto parts = step_parts(shape, binary);
  StepPart whole{"step", 0, 0};
  for (const StepPart& part : parts) {
    whole.operations += part.operations;
    whole.bytes += part.bytes;
  }
  const auto ideal = [&](const StepPart& part) {
    return part.operations / ceilings.operations_per_second + part.bytes / ceilings.bytes_per_second;
  };
  const char* const mode = binary ? "qat" : "fp";
  const auto line = [&](const StepPart& part) {
    fmt::print(fmt::runtime(json ? "{{\"step\": \"{}\", \"mode\": \"{}\", \"part\": \"{}\", \"teraflop\": {:.3f}, "
                                   "\"gigabytes\": {:.3f}, \"ideal_ms\": {:.3f}, \"share\": {:.4f}}}\n"
                                 : "{} {:<4} {:<24} {:>10.3f} {:>10.3f} {:>10.3f} {:>7.3f}\n"),
               shape.name, mode, part.name, part.operations / 1e12, part.bytes / 1e9, 1e3 * ideal(part),
               ideal(part) / ideal(whole));
  };
  if (!json) fmt::print("{:<31} {:>10} {:>10} {:>10} {:>7}\n", "part", "TFLOP", "GB", "ideal ms", "share");
  for (const StepPart& part : parts) line(part);
  line(whole);

  const double measured = measure_step_on_gpu(setting_of(shape, binary), 0, "bf16", now()).step.step_seconds;
  const auto tokens = static_cast<double>(shape.tokens());
  fmt::print(
      fmt::runtime(json ? "{{\"step\": \"{}\", \"mode\": \"{}\", \"ideal_ms\": {:.3f}, \"measured_ms\": {:.3f}, "
                          "\"ratio\": {:.3f}, \"ideal_tokens_per_second\": {:.0f}, "
                          "\"tokens_per_second\": {:.0f}}}\n"
                        : "{} {}: ideal {:.2f} ms, measured {:.2f} ms, {:.2f} of ideal speed; {:.0f} tokens/s at "
                          "the ceilings, {:.0f} measured\n"),
      shape.name, mode, 1e3 * ideal(whole), 1e3 * measured, ideal(whole) / measured, tokens / ideal(whole),
      tokens / measured);
}

}  // namespace binllm::bench
