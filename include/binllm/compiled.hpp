// SPDX-License-Identifier: MIT
/// The umbrella for those who link binllm::compiled: what most programs use in float is compiled once, there, and
/// declared here, so that a unit which trains a model compiles in a fraction of the time.
///   not here            the kernels of packed layers and how tokens are made: declared, defined in binllm::compiled
///   headers of their own    story corpus, trigram model, decoder, forecasts, gradient checks, sums of objectives
/// The list of what is compiled stands a second time, without `extern`, in compiled.cpp.
#pragma once
#include <binllm/version.hpp>

#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/autodiff/recompute.hpp>
#include <binllm/data/batches.hpp>
#include <binllm/data/token_stream.hpp>
#include <binllm/eval/perplexity.hpp>
#include <binllm/infer/generation.hpp>
#include <binllm/models/channel_search.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/attention.hpp>
#include <binllm/ops/binarize.hpp>
#include <binllm/ops/cached_attention.hpp>
#include <binllm/ops/channel_scale.hpp>
#include <binllm/ops/cross_entropy.hpp>
#include <binllm/ops/distillation.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/embedding.hpp>
#include <binllm/ops/gelu.hpp>
#include <binllm/ops/head_groups.hpp>
#include <binllm/ops/layer_norm.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/matmul.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/normalized_squared_error.hpp>
#include <binllm/ops/progressive_sign.hpp>
#include <binllm/ops/relu.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/rotary.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/silu.hpp>
#include <binllm/ops/softmax.hpp>
#include <binllm/ops/subtract.hpp>
#include <binllm/ops/sum.hpp>
#include <binllm/ops/transient_linear.hpp>
#include <binllm/optim/sgd.hpp>
#include <binllm/policy/recipe.hpp>
#include <binllm/policy/runtime.hpp>
#include <binllm/policy/shipped.hpp>
#include <binllm/simd/tuned_build.hpp>
#include <binllm/tokenizer/byte.hpp>
#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/pretrain.hpp>
#include <binllm/train/progressive.hpp>

namespace binllm {

/// The paper's recipe in float.
using PaperRecipe = Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;

namespace compiled {
using V = Variable<float>;
using Ids = View<const std::int32_t>;
using Weight = BinaryWeight<ProgressiveSign<float>, DualScale<float>, Cpu>;
using Full = Llama<float>;
using OneBit = Llama<float, Cpu, Packed>;
using Search = Llama<float, Cpu, ChannelSearch<ChannelSharing::shared>>;
using Progressive = Llama<float, Cpu, Binary<PaperRecipe>>;
}  // namespace compiled

// ops
extern template compiled::V add(compiled::V, compiled::V);
extern template compiled::V attention(compiled::V, compiled::V, compiled::V, Index, Index);
extern template compiled::V channel_scale(compiled::V, compiled::V);
extern template compiled::V cross_entropy(compiled::V, compiled::V, compiled::Ids);
extern template compiled::V embedding<float>(compiled::Ids, compiled::V);
extern template compiled::V linear(compiled::V, compiled::V);
extern template compiled::V matmul(compiled::V, compiled::V);
extern template compiled::V mean(compiled::V);
extern template compiled::V multiply(compiled::V, compiled::V);
extern template compiled::V repeat_head_groups(compiled::V, Index, Index);
extern template compiled::V rms_norm(compiled::V, compiled::V, double);
extern template compiled::V rotary(compiled::V, const RotaryTable<float, Cpu>&, Index, Index);
extern template compiled::V scale(compiled::V, float);
extern template compiled::V silu(compiled::V);
extern template compiled::V softmax(compiled::V);
extern template compiled::V sum(compiled::V);
extern template compiled::V swiglu(compiled::V, compiled::V);
extern template compiled::V transient_linear(compiled::V, compiled::Weight);
extern template compiled::V transient_linear(compiled::V, SignWeightOf<float, Cpu>);

// the kernels of packed layers and of products of bf16
extern template const SignSumKernel<std::int8_t, std::int32_t>& sign_sum_kernel(InstructionSet, Index);
extern template const SignSumKernel<float, float>& sign_sum_kernel(InstructionSet, Index);
extern template const SignSumKernel<double, double>& sign_sum_kernel(InstructionSet, Index);
extern template float load_activations<Int8Activations>(InstructionSet, const float*, Index, std::int8_t*);
extern template double load_activations<Int8Activations>(InstructionSet, const double*, Index, std::int8_t*);
extern template float load_activations<FloatActivations>(InstructionSet, const float*, Index, float*);
extern template double load_activations<FloatActivations>(InstructionSet, const double*, Index, double*);
extern template const cpu::Bf16Kernel* cpu::product_instructions<bf16>(InstructionSet);

// models and what is done with them
extern template class AdamW<float>;
extern template class GlobalNorm<float>;
extern template struct CausalLm<LlamaArchitecture, float, Cpu, Dense>;
extern template struct CausalLm<LlamaArchitecture, float, Cpu, Packed>;
extern template struct CausalLm<LlamaArchitecture, float, Cpu, ChannelSearch<ChannelSharing::shared>>;
extern template struct CausalLm<LlamaArchitecture, float, Cpu, Binary<PaperRecipe>>;
extern template compiled::Progressive binarize(const compiled::Full&, const Binary<PaperRecipe>&);
extern template compiled::OneBit pack(const compiled::Progressive&);
extern template compiled::Full unpack(const compiled::OneBit&);
extern template double train(compiled::Full&, const TokenStream&, const TrainingOptions&, Phase&, RunLog&,
                             const NextToken&, const Parallel<>&);
extern template double pretrain(compiled::Full&, const TokenStream&, const TrainingOptions&, const TokenStream*,
                                RunLog*, const NextToken&, const Parallel<>&);
extern template std::pair<double, double> search_channel_scale(compiled::Progressive&, const TokenStream&,
                                                               const ChannelScaleOptions&, RunLog*, const NextToken&,
                                                               const Parallel<>&);
extern template double train_progressively(compiled::Progressive&, const TokenStream&, const ProgressiveOptions&,
                                           const TokenStream*, RunLog*, const NextToken&, const Parallel<>&);
extern template Perplexity evaluate_perplexity(const compiled::Full&, const TokenStream&, const PerplexityOptions&,
                                               Alone);
extern template Perplexity evaluate_perplexity(const compiled::Progressive&, const TokenStream&,
                                               const PerplexityOptions&, Alone);
extern template Perplexity evaluate_perplexity(const compiled::OneBit&, const TokenStream&, const PerplexityOptions&,
                                               Alone);
extern template GeneratedTokens generate_batch(const compiled::Full&, const std::vector<std::vector<std::int32_t>>&,
                                               const GenerateOptions&, TokenReceiver*);
extern template std::vector<std::int32_t> generate_tokens(const compiled::Full&, std::vector<std::int32_t>,
                                                          const GenerateOptions&);
extern template GeneratedTexts generate_texts(const compiled::Full&, const Tokenizer&,
                                              const std::vector<std::vector<std::int32_t>>&, const GenerateOptions&,
                                              TextReceiver*);
extern template std::string generate(const compiled::Full&, const Tokenizer&, std::string_view, const GenerateOptions&);
extern template GeneratedTokens generate_batch(const compiled::Progressive&,
                                               const std::vector<std::vector<std::int32_t>>&, const GenerateOptions&,
                                               TokenReceiver*);
extern template std::vector<std::int32_t> generate_tokens(const compiled::Progressive&, std::vector<std::int32_t>,
                                                          const GenerateOptions&);
extern template GeneratedTexts generate_texts(const compiled::Progressive&, const Tokenizer&,
                                              const std::vector<std::vector<std::int32_t>>&, const GenerateOptions&,
                                              TextReceiver*);
extern template std::string generate(const compiled::Progressive&, const Tokenizer&, std::string_view,
                                     const GenerateOptions&);
extern template GeneratedTokens generate_batch(const compiled::OneBit&, const std::vector<std::vector<std::int32_t>>&,
                                               const GenerateOptions&, TokenReceiver*);
extern template std::vector<std::int32_t> generate_tokens(const compiled::OneBit&, std::vector<std::int32_t>,
                                                          const GenerateOptions&);
extern template GeneratedTexts generate_texts(const compiled::OneBit&, const Tokenizer&,
                                              const std::vector<std::vector<std::int32_t>>&, const GenerateOptions&,
                                              TextReceiver*);
extern template std::string generate(const compiled::OneBit&, const Tokenizer&, std::string_view,
                                     const GenerateOptions&);

}  // namespace binllm
