// SPDX-License-Identifier: MIT
/// What does not depend on the family: the ops that all or several families use. It is compiled once, in once.cpp and
/// once_bf16.cpp, and not again in the units of each family. (Layers of formats are compiled in units of binllm::methods.)
#pragma once
#include <binllm/infer/vocabulary_matrix.hpp>
#include <binllm/models/channel_search.hpp>
#include <binllm/ops/layer_norm.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>

namespace binllm {

using FloatVariable = Variable<float>;
using Bf16Variable = Variable<bf16>;

extern template FloatVariable add(FloatVariable, FloatVariable);
extern template FloatVariable attention(FloatVariable, FloatVariable, FloatVariable, Index, Index);
extern template FloatVariable cross_entropy(FloatVariable, FloatVariable, View<const std::int32_t>);
extern template FloatVariable embedding<float>(View<const std::int32_t>, FloatVariable);
extern template FloatVariable layer_norm(FloatVariable, FloatVariable, FloatVariable, double);
extern template FloatVariable linear(FloatVariable, FloatVariable);
extern template FloatVariable linear(FloatVariable, FloatVariable, FloatVariable);
extern template FloatVariable multiply(FloatVariable, FloatVariable);
extern template FloatVariable rms_norm(FloatVariable, FloatVariable, double);
extern template FloatVariable rotary(FloatVariable, const RotaryTable<float, Cpu>&, Index, Index);
extern template FloatVariable swiglu(FloatVariable, FloatVariable);
extern template FloatVariable cached_attention(const CachedAttention&, FloatVariable, View<const float>,
                                               View<const float>);
extern template FloatVariable transient_linear(FloatVariable, SignWeightOf<float, Cpu>);
extern template Bf16Variable add(Bf16Variable, Bf16Variable);
extern template Bf16Variable attention(Bf16Variable, Bf16Variable, Bf16Variable, Index, Index);
extern template FloatVariable cross_entropy(Bf16Variable, FloatVariable, View<const std::int32_t>);
extern template Bf16Variable embedding<bf16>(View<const std::int32_t>, FloatVariable);
extern template Bf16Variable layer_norm(Bf16Variable, FloatVariable, FloatVariable, double);
extern template Bf16Variable linear(Bf16Variable, FloatVariable);
extern template Bf16Variable linear(Bf16Variable, FloatVariable, Bf16Variable);
extern template Bf16Variable multiply(Bf16Variable, Bf16Variable);
extern template Bf16Variable rms_norm(Bf16Variable, FloatVariable, double);
extern template Bf16Variable rotary(Bf16Variable, const RotaryTable<float, Cpu>&, Index, Index);
extern template Bf16Variable swiglu(Bf16Variable, Bf16Variable);
extern template Bf16Variable cached_attention(const CachedAttention&, Bf16Variable, View<const bf16>, View<const bf16>);
extern template class AdamW<float>;
extern template class VocabularyMatrix<float, Cpu>;
extern template class RoundedVocabulary<bf16, Cpu>;
extern template class GlobalNorm<float>;

}  // namespace binllm
