// SPDX-License-Identifier: MIT
/// What does not depend on the family: the ops that all or several families use. It is compiled once, in once.cpp, and
/// not again in the units of each family. (Layers of formats are compiled in units of binllm::methods.)
#pragma once
#include <binllm/infer/vocabulary_matrix.hpp>
#include <binllm/models/channel_search.hpp>
#include <binllm/ops/layer_norm.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>

namespace binllm {

using FloatVariable = Variable<float>;

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
extern template class AdamW<float>;
extern template class VocabularyMatrix<float, Cpu>;
extern template class GlobalNorm<float>;

}  // namespace binllm
