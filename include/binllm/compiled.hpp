// SPDX-License-Identifier: MIT
/// The umbrella for those who link binllm::compiled: what most programs use in float is compiled once, there, and
/// declared here, so that a unit which trains a model compiles in a fraction of the time. Means what
/// <binllm/binllm.hpp> means. The list stands a second time, without `extern`, in compiled.cpp.
#pragma once
#include <binllm/binllm.hpp>

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
extern template compiled::V rotary(compiled::V, const RotaryTable<float, Cpu>&, Index);
extern template compiled::V scale(compiled::V, float);
extern template compiled::V silu(compiled::V);
extern template compiled::V softmax(compiled::V);
extern template compiled::V sum(compiled::V);
extern template compiled::V swiglu(compiled::V, compiled::V);
extern template compiled::V transient_linear(compiled::V, compiled::Weight);
extern template compiled::V transient_linear(compiled::V, SignWeightOf<float, Cpu>);

// models and what is done with them
extern template class AdamW<float>;
extern template class GlobalNorm<float>;
extern template struct Llama<float, Cpu, Dense>;
extern template struct Llama<float, Cpu, Packed>;
extern template struct Llama<float, Cpu, ChannelSearch<ChannelSharing::shared>>;
extern template struct Llama<float, Cpu, Binary<PaperRecipe>>;
extern template compiled::Progressive binarize(const compiled::Full&, const Binary<PaperRecipe>&);
extern template compiled::OneBit pack(const compiled::Progressive&);
extern template compiled::Full unpack(const compiled::OneBit&);
extern template double train(compiled::Full&, const TokenStream&, const TrainingOptions&, Phase&, RunLog&,
                             const NextToken&);
extern template double pretrain(compiled::Full&, const TokenStream&, const TrainingOptions&, const TokenStream*,
                                RunLog*, const NextToken&);
extern template std::pair<double, double> search_channel_scale(compiled::Progressive&, const TokenStream&,
                                                               const ChannelScaleOptions&, RunLog*, const NextToken&);
extern template double train_progressively(compiled::Progressive&, const TokenStream&, const ProgressiveOptions&,
                                           const TokenStream*, RunLog*, const NextToken&);
extern template Perplexity evaluate_perplexity(compiled::Full&, const TokenStream&, const PerplexityOptions&);
extern template Perplexity evaluate_perplexity(compiled::Progressive&, const TokenStream&, const PerplexityOptions&);
extern template Perplexity evaluate_perplexity(compiled::OneBit&, const TokenStream&, const PerplexityOptions&);
extern template GeneratedTokens generate_batch(compiled::Full&, const std::vector<std::vector<std::int32_t>>&,
                                               const GenerateOptions&, TokenReceiver*);
extern template GeneratedTokens generate_batch(compiled::OneBit&, const std::vector<std::vector<std::int32_t>>&,
                                               const GenerateOptions&, TokenReceiver*);
extern template std::vector<std::int32_t> generate_tokens(compiled::Full&, std::vector<std::int32_t>,
                                                          const GenerateOptions&);
extern template std::vector<std::int32_t> generate_tokens(compiled::OneBit&, std::vector<std::int32_t>,
                                                          const GenerateOptions&);

}  // namespace binllm
