// SPDX-License-Identifier: MIT
/// What run_pretrain does, for those who instantiate it.
#pragma once
#include "moved_model.hpp"
#include "pretrain_run.hpp"

#include <binllm/io/folders/model.hpp>
#include <binllm/train/pretrain.hpp>

namespace program {

template <class T, class Device>
PretrainResult run_pretrain(binllm::Llama<float>& start, const PretrainJob& job, Progress& progress) {
  auto&& model = on_chosen<T, Device>(start);
  PretrainResult result;
  result.last_loss =
      binllm::pretrain(model, job.corpus, job.training, job.validation ? &*job.validation : nullptr, &progress);
  binllm::save(on_host(model), job.out, {.tokenizer = job.tokenizer});
  if (job.validation) result.validation_nll = binllm::evaluate_perplexity(model, *job.validation, job.evaluation()).nll;
  return result;
}

}  // namespace program
