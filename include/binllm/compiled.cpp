// SPDX-License-Identifier: MIT
// What compiled.hpp declares.
#include <binllm/compiled.hpp>

namespace binllm {

// ops
template compiled::V add(compiled::V, compiled::V);
template compiled::V attention(compiled::V, compiled::V, compiled::V, Index, Index);
template compiled::V channel_scale(compiled::V, compiled::V);
template compiled::V cross_entropy(compiled::V, compiled::V, compiled::Ids);
template compiled::V embedding<float>(compiled::Ids, compiled::V);
template compiled::V linear(compiled::V, compiled::V);
template compiled::V matmul(compiled::V, compiled::V);
template compiled::V mean(compiled::V);
template compiled::V multiply(compiled::V, compiled::V);
template compiled::V repeat_head_groups(compiled::V, Index, Index);
template compiled::V rms_norm(compiled::V, compiled::V, double);
template compiled::V rotary(compiled::V, const RotaryTable<float, Cpu>&, Index);
template compiled::V scale(compiled::V, float);
template compiled::V silu(compiled::V);
template compiled::V softmax(compiled::V);
template compiled::V sum(compiled::V);
template compiled::V swiglu(compiled::V, compiled::V);
template compiled::V transient_linear(compiled::V, compiled::Weight);
template compiled::V transient_linear(compiled::V, SignWeightOf<float, Cpu>);

// models and what is done with them
template class AdamW<float>;
template class GlobalNorm<float>;
template struct Llama<float, Cpu, Dense>;
template struct Llama<float, Cpu, Packed>;
template struct Llama<float, Cpu, ChannelSearch<ChannelSharing::shared>>;
template struct Llama<float, Cpu, Binary<PaperRecipe>>;
template compiled::Progressive binarize(const compiled::Full&, const Binary<PaperRecipe>&);
template compiled::OneBit pack(const compiled::Progressive&);
template compiled::Full unpack(const compiled::OneBit&);
template double train(compiled::Full&, const TokenStream&, const TrainingOptions&, Phase&, RunLog&,
                             const NextToken&);
template double pretrain(compiled::Full&, const TokenStream&, const TrainingOptions&, const TokenStream*,
                                RunLog*, const NextToken&);
template std::pair<double, double> search_channel_scale(compiled::Progressive&, const TokenStream&,
                                                        const ChannelScaleOptions&, RunLog*, const NextToken&);
template double train_progressively(compiled::Progressive&, const TokenStream&, const ProgressiveOptions&,
                                           const TokenStream*, RunLog*, const NextToken&);
template Perplexity evaluate_perplexity(compiled::Full&, const TokenStream&, const PerplexityOptions&);
template Perplexity evaluate_perplexity(compiled::Progressive&, const TokenStream&, const PerplexityOptions&);
template Perplexity evaluate_perplexity(compiled::OneBit&, const TokenStream&, const PerplexityOptions&);
template GeneratedTokens generate_batch(compiled::Full&, const std::vector<std::vector<std::int32_t>>&,
                                        const GenerateOptions&, TokenReceiver*);
template GeneratedTokens generate_batch(compiled::OneBit&, const std::vector<std::vector<std::int32_t>>&,
                                        const GenerateOptions&, TokenReceiver*);
template std::vector<std::int32_t> generate_tokens(compiled::Full&, std::vector<std::int32_t>, const GenerateOptions&);
template std::vector<std::int32_t> generate_tokens(compiled::OneBit&, std::vector<std::int32_t>,
                                                   const GenerateOptions&);

}  // namespace binllm
