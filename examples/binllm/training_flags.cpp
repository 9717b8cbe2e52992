// SPDX-License-Identifier: MIT
#include "training_flags.hpp"

#include <fmt/core.h>

namespace program {

void add_training_flags(CLI::App& command, binllm::TrainingOptions& options) {
  command.add_option("--tokens", options.tokens, "training tokens; 0: one pass over the text")->capture_default_str();
  command.add_option("--batch", options.batch, "sequences in an optimiser step")->capture_default_str();
  command.add_option("--micro-batch", options.micro_batch, "sequences in a forward pass; 0: all of a step")
      ->capture_default_str();
  command.add_flag("--recompute", options.recompute, "memory for time: backward runs every layer again; same bits");
  command.add_option("--context", options.context, "tokens in a sequence")->capture_default_str();
  command.add_option("--learning-rate", options.learning_rate, "peak of the cosine")->capture_default_str();
  command.add_option("--last-learning-rate", options.last_learning_rate, "its end")->capture_default_str();
  command.add_option("--warmup", options.warmup, "steps of linear warm-up")->capture_default_str();
  command.add_option("--weight-decay", options.adamw.weight_decay, "AdamW's decay of matrices")->capture_default_str();
  command.add_option("--clip", options.clip, "limit of the global gradient norm; 0: none")->capture_default_str();
  command.add_option("--report-every", options.report_every, "steps between lines of metrics.jsonl")
      ->capture_default_str();
  command.add_option("--evaluate-every", options.evaluate_every, "steps between evaluations; 0: at the end")
      ->capture_default_str();
}

void add_dry_run_flag(CLI::App& command, bool& dry_run) {
  command.add_flag("--dry-run", dry_run, "check the input, print steps and expected memory, write nothing");
}

nlohmann::ordered_json to_json(const binllm::TrainingOptions& o) {
  return {{"tokens", o.tokens},
          {"batch", o.batch},
          {"micro_batch", o.micro_batch},
          {"context", o.context},
          {"learning_rate", o.learning_rate},
          {"last_learning_rate", o.last_learning_rate},
          {"warmup", o.warmup},
          {"weight_decay", o.adamw.weight_decay},
          {"beta1", o.adamw.beta1},
          {"beta2", o.adamw.beta2},
          {"epsilon", o.adamw.epsilon},
          {"clip", o.clip},
          {"seed", o.seed},
          {"report_every", o.report_every},
          {"evaluate_every", o.evaluate_every}};
}

nlohmann::ordered_json to_json(const binllm::TokenStream& stream) {
  return {{"tokens", stream.size()}, {"hash", fmt::format("{:016x}", stream.hash())}};
}

void CheckpointFlags::add_to(CLI::App& command) {
  command.add_option("--checkpoint-every", every, "steps between checkpoints")->capture_default_str();
  command.add_flag("--resume", resume, "go on with the run in the folder");
}

binllm::RunFolderOptions CheckpointFlags::folder_options() const {
  return {.resume = resume, .checkpoint_every = every, .may_differ = {"device", "precision"}};
}

}  // namespace program
