// SPDX-License-Identifier: MIT
// What compiled.hpp declares.
#include <binllm/binllm.hpp>
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
template compiled::V rotary(compiled::V, const RotaryTable<float, Cpu>&, Index, Index);
template compiled::V scale(compiled::V, float);
template compiled::V silu(compiled::V);
template compiled::V softmax(compiled::V);
template compiled::V sum(compiled::V);
template compiled::V swiglu(compiled::V, compiled::V);
template compiled::V transient_linear(compiled::V, compiled::Weight);
template compiled::V transient_linear(compiled::V, SignWeightOf<float, Cpu>);

// the kernels of packed layers and of products of bf16
template const SignSumKernel<std::int8_t, std::int32_t>& sign_sum_kernel(InstructionSet, Index);
template const SignSumKernel<float, float>& sign_sum_kernel(InstructionSet, Index);
template const SignSumKernel<double, double>& sign_sum_kernel(InstructionSet, Index);
template float load_activations<Int8Activations>(InstructionSet, const float*, Index, std::int8_t*);
template double load_activations<Int8Activations>(InstructionSet, const double*, Index, std::int8_t*);
template float load_activations<FloatActivations>(InstructionSet, const float*, Index, float*);
template double load_activations<FloatActivations>(InstructionSet, const double*, Index, double*);
template const cpu::Bf16Kernel* cpu::product_instructions<bf16>(InstructionSet);

// models and what is done with them
template class AdamW<float>;
template class GlobalNorm<float>;
template struct CausalLm<LlamaArchitecture, float, Cpu, Dense>;
template struct CausalLm<LlamaArchitecture, float, Cpu, Packed>;
template struct CausalLm<LlamaArchitecture, float, Cpu, ChannelSearch<ChannelSharing::shared>>;
template struct CausalLm<LlamaArchitecture, float, Cpu, Binary<PaperRecipe>>;
template compiled::Progressive binarize(const compiled::Full&, const Binary<PaperRecipe>&);
template compiled::OneBit pack(const compiled::Progressive&);
template compiled::Full unpack(const compiled::OneBit&);
template double train(compiled::Full&, const TokenStream&, const TrainingOptions&, Phase&, RunLog&, const NextToken&,
                      const Parallel<>&);
template double pretrain(compiled::Full&, const TokenStream&, const TrainingOptions&, const TokenStream*, RunLog*,
                         const NextToken&, const Parallel<>&);
template std::pair<double, double> search_channel_scale(compiled::Progressive&, const TokenStream&,
                                                        const ChannelScaleOptions&, RunLog*, const NextToken&,
                                                        const Parallel<>&);
template double train_progressively(compiled::Progressive&, const TokenStream&, const ProgressiveOptions&,
                                    const TokenStream*, RunLog*, const NextToken&, const Parallel<>&);
template Perplexity evaluate_perplexity(const compiled::Full&, const TokenStream&, const PerplexityOptions&, Alone);
template Perplexity evaluate_perplexity(const compiled::Progressive&, const TokenStream&, const PerplexityOptions&,
                                        Alone);
template Perplexity evaluate_perplexity(const compiled::OneBit&, const TokenStream&, const PerplexityOptions&, Alone);
template GeneratedTokens generate_batch(const compiled::Full&, const std::vector<std::vector<std::int32_t>>&,
                                        const GenerateOptions&, TokenReceiver*);
template std::vector<std::int32_t> generate_tokens(const compiled::Full&, std::vector<std::int32_t>,
                                                   const GenerateOptions&);
template GeneratedTexts generate_texts(const compiled::Full&, const Tokenizer&,
                                       const std::vector<std::vector<std::int32_t>>&, const GenerateOptions&,
                                       TextReceiver*);
template std::string generate(const compiled::Full&, const Tokenizer&, std::string_view, const GenerateOptions&);
template GeneratedTokens generate_batch(const compiled::Progressive&, const std::vector<std::vector<std::int32_t>>&,
                                        const GenerateOptions&, TokenReceiver*);
template std::vector<std::int32_t> generate_tokens(const compiled::Progressive&, std::vector<std::int32_t>,
                                                   const GenerateOptions&);
template GeneratedTexts generate_texts(const compiled::Progressive&, const Tokenizer&,
                                       const std::vector<std::vector<std::int32_t>>&, const GenerateOptions&,
                                       TextReceiver*);
template std::string generate(const compiled::Progressive&, const Tokenizer&, std::string_view, const GenerateOptions&);
template GeneratedTokens generate_batch(const compiled::OneBit&, const std::vector<std::vector<std::int32_t>>&,
                                        const GenerateOptions&, TokenReceiver*);
template std::vector<std::int32_t> generate_tokens(const compiled::OneBit&, std::vector<std::int32_t>,
                                                   const GenerateOptions&);
template GeneratedTexts generate_texts(const compiled::OneBit&, const Tokenizer&,
                                       const std::vector<std::vector<std::int32_t>>&, const GenerateOptions&,
                                       TextReceiver*);
template std::string generate(const compiled::OneBit&, const Tokenizer&, std::string_view, const GenerateOptions&);

}  // namespace binllm
