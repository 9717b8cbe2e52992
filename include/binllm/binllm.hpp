// SPDX-License-Identifier: MIT
/// The whole library without files: tensors, automatic differentiation, ops, policies, models, training, inference.
/// Checkpoints and tokenizers from files: <binllm/io.hpp>.
#pragma once
#include <binllm/version.hpp>

#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/autodiff/recompute.hpp>
#include <binllm/core/process_memory.hpp>
#include <binllm/data/batches.hpp>
#include <binllm/data/story_corpus.hpp>
#include <binllm/data/token_stream.hpp>
#include <binllm/device/meta.hpp>
#include <binllm/eval/perplexity.hpp>
#include <binllm/eval/trigram.hpp>
#include <binllm/infer/decoder.hpp>
#include <binllm/infer/generate.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/attention.hpp>
#include <binllm/ops/binarize.hpp>
#include <binllm/ops/cached_attention.hpp>
#include <binllm/ops/channel_scale.hpp>
#include <binllm/ops/cross_entropy.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/head_groups.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/matmul.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/progressive_sign.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/rotary.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/silu.hpp>
#include <binllm/ops/softmax.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/ops/transient_linear.hpp>
#include <binllm/policy/recipe.hpp>
#include <binllm/policy/runtime.hpp>
#include <binllm/policy/shipped.hpp>
#include <binllm/tokenizer/byte.hpp>
#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/forecast.hpp>
#include <binllm/train/pretrain.hpp>
#include <binllm/train/progressive.hpp>
